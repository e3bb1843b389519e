# SPDX-License-Identifier: GPL-2.0
"""An idle connection that a worker holds goes back to XDP with the next hit, and may go to and fro."""
import pytest

from harness import servers
from harness.tcp import ACK, PSH
from lending import ADDRESSES, HIT, MISS, OTHER


@pytest.mark.parametrize("family", list(ADDRESSES))
def test_hit_after_a_miss_takes_the_connection_back(lend, family):
    client = lend.client(ADDRESSES[family])
    client.get(MISS)
    assert len(lend.sockets(client.client_port)) == 1
    before = lend.weir.stats()
    client.get(HIT)
    count = servers.moved(before, lend.weir.stats())
    assert count.get("kernel.seizes") == 1 and count.get("kernel.hits") == 1, count
    servers.wait_for("the kernel's socket is gone", lambda: not lend.sockets(client.client_port))
    client.get(HIT)
    client.close()


def test_connection_changes_owner_a_hundred_times(lend):
    client = lend.client()
    before = lend.weir.stats()
    for _ in range(50):
        client.get(MISS)
        client.get(HIT)
        client.get(OTHER)
        client.get(HIT)
    client.close()
    count = servers.moved(before, lend.weir.stats())
    assert count.get("kernel.seizes", 0) == count.get("kernel.handovers", 0) == 100, count


def test_worker_lets_go_of_a_seized_connection(lend):
    before = lend.weir.stat("pools.plain.active")
    clients = [lend.client() for _ in range(20)]
    for client in clients:
        client.get(MISS)
        client.get(HIT)
    servers.wait_for("no worker holds one", lambda: lend.weir.stat("pools.plain.active") <= before)
    assert not any(lend.sockets(client.client_port) for client in clients)
    for client in clients:
        client.get(HIT)
        client.close()


def test_miss_response_that_is_not_acknowledged_is_not_seized(lend):
    """The next request acknowledges nothing of the last response: the socket still is needed for it."""
    def script(c):
        yield from c.open()
        una = c.rcv_nxt
        yield from c.step("miss", c.seg(PSH | ACK, c.request(MISS)), answers=1)
        yield from c.step("hit, old ACK", c.seg(PSH | ACK, c.request(HIT), ack=una), answers=2)
        yield from c.step("ACK", c.seg(ACK))

    before = lend.weir.stats()
    conn = lend.raw(script)
    count = servers.moved(before, lend.weir.stats())
    assert [r.status for _, r in conn.responses()] == [200, 200] and "kernel.seizes" not in count, count
