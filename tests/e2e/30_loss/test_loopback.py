# SPDX-License-Identifier: GPL-2.0
"""The same client without loss on `lo`, where XDP runs in generic mode and tc sends the answers."""
import pytest

from harness import net, servers
from harness.lossy import soak

REQUESTS = 20_000


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_loopback_requests_are_answered_right(root, address):
    ns = net.Namespace(f"wlo{'6' if ':' in address else '4'}")
    ns.sysctl("net.ipv4.tcp_syncookies", 2)
    listen = f"[{address}]:80" if ":" in address else f"{address}:80"
    try:
        with servers.weir(ns, servers.two_pools(root, "generic", "lo", (listen,))) as weir:
            before = weir.stats()
            soak(ns, address, "--requests", REQUESTS, "--connections", 64)
            count = servers.moved(before, weir.stats())
    finally:
        ns.close()
    print(count)
    for name in ("hits", "handovers", "seizes"):
        assert count.get(f"kernel.{name}", 0) > REQUESTS // 100, f"{name} did not move: {count}"
