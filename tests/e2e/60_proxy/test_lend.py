# SPDX-License-Identifier: GPL-2.0
"""A connection that a proxied request was answered on is lent, not given: XDP takes it back for what it has cached."""
import json

import pytest

from harness import net, servers
from harness.servers import wait_for
from upstreams import Client, echo

ROUNDS = 200


@pytest.fixture
def mixed(weir, netns_pair, upstream, site, folder):
    up = upstream(echo, path=folder / "up.sock")
    return weir(netns=netns_pair.server, config=f"""
listen = {{"{net.SERVER_IP4}:{servers.PORT}"}}
attach = native
interfaces = {{"{net.SERVER_IF}"}}
pool files {{ root = "{site.path}" prefixes = {{"http://*:{servers.PORT}/"}} }}
pool app {{ handler = proxy upstreams = {{"{up.address}"}} prefixes = {{"http://*:{servers.PORT}/app/"}} }}
""")


def test_cached_and_proxied_requests_share_a_connection(mixed, netns_pair):
    class There(Client):
        def __init__(self):
            self.sock = netns_pair.client.connect(net.SERVER_IP4, servers.PORT)
            self.file = self.sock.makefile("rb")

    it = There()
    assert it.get("/small.txt")[2] == b"a small file\n"
    wait_for("it is in the kernel cache", lambda: mixed.stat("kernel.cache_entries") >= 1)
    before = mixed.stats()
    for n in range(ROUNDS):
        body = b"%d" % n * (n % 50 if n % 10 else 40_000)
        status, _, got = it.get(f"/app/{n}", method="POST" if body else "GET", body=body)
        assert status == 200 and got.endswith(b"\n" + body)
        assert it.get("/small.txt")[2] == b"a small file\n"
    moved = servers.moved(before, mixed.stats())
    assert moved.get("kernel.seizes", 0) > ROUNDS // 2, moved
    assert moved.get("pools.app.responses_2xx") == ROUNDS
    wait_for("every seized connection is noticed", lambda: mixed.stat("pools.app.active") <= 1)
    wait_for("nothing is said to wait", lambda: mixed.stat("pools.app.queue_depth") == 0)
    assert json.loads(mixed.command("status", "--json").stdout)["pools"]["app"]["crashes"] == 0
    it.close()
