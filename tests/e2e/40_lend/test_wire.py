# SPDX-License-Identifier: GPL-2.0
"""What leaves Weir is right on the wire: every checksum, and the Date of a kernel hit."""
import email.utils
import time

import pytest

from harness import net, servers
from harness.tcp import FIN, RST, Wire
from lending import ADDRESSES, HIT, MISS

DATE_SLACK = 0.5  # seconds after the full second until the clock map must have followed


@pytest.mark.parametrize("family", list(ADDRESSES))
def test_every_checksum_is_right(lend, family):
    wire = Wire(lend.pair.client, net.CLIENT_IF)
    for path in (HIT, MISS):
        client = lend.client(ADDRESSES[family])
        for _ in range(3):
            client.get(HIT)
            client.get(path)
        client.close()
        lend.client(ADDRESSES[family]).get(path, Connection="close")
    client = lend.client(ADDRESSES[family])
    client.get(HIT)
    seen = []

    def has_closed():
        seen.extend(s for s in wire.receive() if s.sport == servers.PORT)
        return sum(bool(s.flags & FIN) for s in seen) >= 4

    servers.wait_for("four connections have been closed", has_closed)
    wire.close()
    client.close()
    assert len(seen) > 20 and sum(len(s.data) for s in seen) > 14 * 100
    assert not [f"{s}" for s in seen if s.errors or s.flags & RST]


def test_date_of_a_hit_is_current_to_the_second(lend):
    client = lend.client()
    client.get(HIT)
    before_stats = lend.weir.stats()
    end, dates = time.time() + 3.2, set()
    while time.time() < end:
        before = time.time()
        date = email.utils.parsedate_to_datetime(client.get(HIT).getheader("Date")).timestamp()
        assert int(before - DATE_SLACK) <= date <= int(time.time()), f"{date} at {before}"
        dates.add(date)
    client.close()
    assert len(dates) >= 3
    assert "kernel.handovers" not in servers.moved(before_stats, lend.weir.stats()), "these were no hits"
