# SPDX-License-Identifier: GPL-2.0
"""Every response is complete and right byte by byte, over a link that loses 1 % of the packets, repeats and reorders
some, in both directions; for hits and misses mixed on keep-alive connections, with small segments, with and without
timestamps and SACK, over IPv4 and IPv6, with requests cut in pieces. DESIGN rules 1, 3 and 4 at work."""
import pytest

from harness import net, servers
from harness.lossy import bad_link, soak

ADDRESSES = {"ipv4": net.SERVER_IP4, "ipv6": net.SERVER_IP6}
MANY, SOME, FEW = 100_000, 2_000, 300
CONNECTIONS = 256


@pytest.fixture(scope="module")
def weir(pair, root):
    with servers.weir(pair.server, servers.two_pools(root)) as weir:
        yield weir


@pytest.fixture(scope="module")
def link(pair, weir):
    with bad_link(pair) as numbers:
        yield numbers


def test_the_bad_link_loses_and_reorders_without_breaking_plain_tcp():
    with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as pair:
        listener = servers.Listener(pair.server)
        with bad_link(pair) as numbers:
            for address in ADDRESSES.values():
                soak(pair.client, address, "--requests", SOME, "--connections", CONNECTIONS)
        listener.close()
    for direction in ("out", "in"):
        n = numbers[0][direction]
        assert 0.005 < n["dropped"] / n["seen"] < 0.02 and n["detoured"] and n["duplicated"], numbers


def test_hundred_thousand_requests_are_answered_right(pair, weir, link):
    before = weir.stats()
    for address in ADDRESSES.values():
        soak(pair.client, address, "--requests", MANY // 2, "--connections", CONNECTIONS)
    count = servers.moved(before, weir.stats())
    print(count)
    for name in ("hits", "handovers", "seizes"):
        assert count.get(f"kernel.{name}", 0) > MANY // 100, f"{name} did not move: {count}"


@pytest.mark.parametrize("cut", [0, 1, 7, 100], ids=lambda n: f"cut{n}" if n else "whole")
@pytest.mark.parametrize("mss", [88, 536, 1460], ids=lambda n: f"mss{n}")
@pytest.mark.parametrize("options", ["ts+sack", "ts", "sack", "none"])
@pytest.mark.parametrize("family", list(ADDRESSES))
def test_small_segments_and_cut_requests_are_answered_right(pair, weir, link, family, options, mss, cut):
    pair.client.sysctl("net.ipv4.tcp_timestamps", int("ts" in options))
    pair.client.sysctl("net.ipv4.tcp_sack", int("sack" in options))
    soak(pair.client, ADDRESSES[family], "--requests", FEW if cut == 1 else SOME, "--connections", CONNECTIONS,
         "--per-connection", 20, "--mss", mss, "--cut", cut, "--gentle-start")


@pytest.mark.parametrize("family", list(ADDRESSES))
def test_one_connection_after_another_is_answered_right(pair, weir, link, family):
    soak(pair.client, ADDRESSES[family], "--requests", SOME, "--connections", CONNECTIONS, "--per-connection", 1)
