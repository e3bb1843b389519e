# SPDX-License-Identifier: GPL-2.0
"""A SYN costs an answer and nothing else."""
import random

from harness import net, servers
from harness.tcp import SYN, Options, Segment, Wire
from lending import FAMILIES, HIT, MISS

SYNS = 20_000
BATCH = 500


def test_syn_flood_stores_nothing_and_real_clients_connect(lend):
    wire = Wire(lend.pair.client, net.CLIENT_IF)
    before, sockets = lend.weir.stats(), lend.sockets()
    client = None
    for i in range(0, SYNS, BATCH):
        for n in range(i, i + BATCH):
            family = FAMILIES["ipv6" if n % 2 else "ipv4"]
            src, dst = (net.RAW_IP6, net.SERVER_IP6) if n % 2 else (net.RAW_IP4, net.SERVER_IP4)
            wire.send(Segment(family, src, dst, 1024 + n % 60000, servers.PORT, random.getrandbits(32), 0, SYN,
                              opts=Options(mss=1400, sack_ok=True, wscale=7, ts=(n, 0))))
        wire.receive()
        if i == SYNS // 2 // BATCH * BATCH:  # in the middle of it
            client = lend.client()
            client.get(HIT)
            client.get(MISS)
            client.close()
    servers.wait_for("every SYN is answered", lambda: servers.moved(before, lend.weir.stats()).get(
        "kernel.syn_cookies_sent", 0) >= SYNS)
    after = lend.weir.stats()
    assert client and after["kernel"]["flows"] <= before["kernel"]["flows"] + 1
    assert len(lend.sockets()) <= len(sockets) + 1
    client = lend.client()
    client.get(HIT)
    client.get(MISS)
    client.close()
    wire.close()
