# SPDX-License-Identifier: GPL-2.0
"""A connection is lent to a worker at the first request that XDP cannot answer, at any point of its life, with every
option that was negotiated."""
import pytest

from harness import content, net, servers
from lending import ADDRESSES, HIT, MISS, OTHER, mirrored, options_of


@pytest.mark.parametrize("sysctls", [
    {"tcp_timestamps": 1, "tcp_sack": 1, "tcp_window_scaling": 1},
    {"tcp_timestamps": 1, "tcp_sack": 0, "tcp_window_scaling": 1},
    {"tcp_timestamps": 1, "tcp_sack": 1, "tcp_window_scaling": 0},
    {"tcp_timestamps": 0, "tcp_sack": 1, "tcp_window_scaling": 1},
    {"tcp_timestamps": 0, "tcp_sack": 0, "tcp_window_scaling": 0},
], ids=lambda s: "+".join(k for k, v in s.items() if v) or "none")
@pytest.mark.parametrize("family", list(ADDRESSES))
@pytest.mark.parametrize("hits", [0, 2])
def test_lent_socket_has_the_negotiated_options(lend, family, sysctls, hits):
    for name, value in sysctls.items():
        lend.pair.client.sysctl(f"net.ipv4.{name}", value)
    client = lend.client(ADDRESSES[family])
    for _ in range(hits):
        client.get(HIT)
    client.get(MISS)
    (server_side,) = lend.sockets(client.client_port)
    (client_side,) = lend.pair.client.sh("ss", "-OHtion", "sport", "=", f":{client.client_port}").splitlines()
    print(server_side, client_side, sep="\n")
    assert options_of(server_side) == mirrored(options_of(client_side))
    if sysctls["tcp_timestamps"]:
        assert ("sack" in options_of(server_side)) == bool(sysctls["tcp_sack"])
        assert any(o.startswith("wscale") for o in options_of(server_side)) == bool(sysctls["tcp_window_scaling"])
        assert "ts" in options_of(server_side)
    for name in sysctls:
        lend.pair.client.sysctl(f"net.ipv4.{name}", 1)
    client.close()


@pytest.mark.parametrize("hits", [0, 1, 5, 50])
def test_connection_is_lent_after_any_number_of_hits(lend, hits):
    client = lend.client()
    before = lend.weir.stats()
    for _ in range(hits):
        client.get(HIT)
    assert not lend.sockets(client.client_port), "a hit made a socket"
    client.get(MISS)
    count = servers.moved(before, lend.weir.stats())
    assert count.get("kernel.hits", 0) == hits and count["kernel.handovers"] == 1, count
    assert len(lend.sockets(client.client_port)) == 1
    client.close()


def counted(lend, before, requests):
    """What moved when as many requests are counted: a worker does so when it has sent its response."""

    def look():
        count = servers.moved(before, lend.weir.stats())
        return sum(count.get(f"pools.{name}.requests", 0) for name in ("plain", "cached")) >= requests and count

    return servers.wait_for(f"{requests} requests are counted", look)


def test_two_requests_on_one_connection_go_to_two_pools(lend):
    client = lend.client()
    before = lend.weir.stats()
    client.get(MISS)
    client.get(HIT, Authorization="Basic eDp5")  # not for the kernel cache: a worker of the other pool must answer
    client.get(OTHER)
    client.close()
    count = counted(lend, before, 3)
    assert count.get("pools.plain.requests") == 2 and count.get("pools.cached.requests") == 1, count


def test_uncachable_request_after_a_hit_goes_to_the_pool_of_its_url(lend):
    client = lend.client()
    before = lend.weir.stats()
    client.get(HIT)
    client.get(HIT, Authorization="Basic eDp5")
    client.close()
    count = counted(lend, before, 1)
    assert count.get("pools.cached.requests") == 1 and not count.get("pools.plain.requests"), count


@pytest.mark.parametrize("path", [HIT, MISS])
def test_connection_close_ends_after_the_whole_response(lend, path):
    client = lend.client()
    response = client.get(path, Connection="close")
    assert response.getheader("Connection").strip() == "close"  # of fixed width in the cache
    assert client.sock is None or client.sock.recv(1) == b""


@pytest.mark.parametrize("path", [HIT, MISS])
def test_http_1_0_ends_after_the_whole_response(lend, path):
    sock = lend.pair.client.connect(net.SERVER_IP4, servers.PORT)
    sock.sendall(f"GET {path} HTTP/1.0\r\nHost: weir.test\r\n\r\n".encode())
    data = b""
    while True:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    assert data.split(b" ")[1] == b"200" and data.split(b"\r\n\r\n", 1)[1] == content.body(path)
