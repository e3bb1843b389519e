# SPDX-License-Identifier: GPL-2.0
"""Handshake, hits and close behind one VLAN tag (802.1Q). By hand, for this kernel has no VLAN devices; so no hand-over."""
import pytest

from harness import servers
from harness.tcp import ACK, FIN
from lending import HIT

VLAN = 5


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_hit_behind_a_vlan_tag_is_answered_with_the_tag(lend, family):
    def script(c):
        c.vlan = VLAN
        yield from c.open()
        yield from c.get(HIT)
        yield from c.get(HIT)
        yield from c.step("FIN", c.seg(FIN | ACK), until=lambda c: c.fin_at is not None)
        yield from c.step("ACK", c.seg(ACK))

    before = lend.weir.stats()
    conn = lend.raw(script, family)  # the tag of every packet is checked
    assert len(conn.responses()) == 2 and conn.fin_at is not None, conn.transcript()
    assert servers.moved(before, lend.weir.stats()).get("kernel.hits") == 2
