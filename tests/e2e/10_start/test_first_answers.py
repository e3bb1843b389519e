# SPDX-License-Identifier: GPL-2.0
"""What a newcomer does first: start it, ask twice, stop it."""
import pytest

from harness.net import SERVER_IP4, SERVER_IP6
from instance import attached


def test_second_answer_comes_from_the_kernel_cache(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    first = w.curl("-i", "http://127.0.0.1:8080/")
    assert first.stdout.startswith("HTTP/1.1 200 OK")
    assert w.stat("kernel.hits") == 0
    second = w.curl("-i", "http://127.0.0.1:8080/")
    assert w.stat("kernel.hits") == 1
    assert w.stat("pools.default.requests") == 1
    assert second.stdout.endswith(site.files["index.html"].decode())


def test_keep_alive_connection_gets_hits_and_misses(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    connection = w.connect()
    for name in ("small.txt", "other.txt", "small.txt", "small.txt", "huge.bin", "other.txt", "small.txt"):
        assert w.get(connection, f"/{name}") == (200, site.files[name])
    connection.close()
    stats = w.stats()
    # a worker sees both files once, and huge.bin, which no cache takes
    assert stats["kernel"]["hits"] + stats["pools"]["default"]["requests"] == 7
    assert stats["kernel"]["hits"] >= 3
    assert stats["kernel"]["seizes"] == 2
    assert stats["kernel"]["handovers"] == 2


def test_without_a_kernel_cache_workers_answer(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080", "--attach", "none")
    for _ in range(3):
        assert w.curl("http://127.0.0.1:8080/small.txt").stdout.encode() == site.files["small.txt"]
    assert w.stat("pools.default.requests") == 3
    assert not attached(w.netns)


@pytest.mark.parametrize("address", [SERVER_IP4, f"[{SERVER_IP6}]"])
def test_native_mode_on_veth(weir, site, netns_pair, address):
    w = weir("--root", site.path, "--listen", f"{address}:8080", "--attach", "native", netns=netns_pair.server)
    for expected_hits in (0, 1, 2):
        connection = w.connect(address.strip("[]"), netns=netns_pair.client)
        assert w.get(connection, "/small.txt") == (200, site.files["small.txt"])
        connection.close()
        assert w.stat("kernel.hits") == expected_hits
