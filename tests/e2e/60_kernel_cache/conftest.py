# SPDX-License-Identifier: GPL-2.0
"""Weir behind a veth pair with one static pool, XDP answering itself ("native") or through weir_tc ("generic")."""
import pytest

from caching import Caching
from harness import net


@pytest.fixture(params=["native", "generic"])
def caching(request, netns_pair, weir, site):
    server = weir("--root", site.path, "--listen", f"{net.SERVER_IP4}:8080", "--attach", request.param, "--interface",
                  net.SERVER_IF, netns=netns_pair.server)
    yield Caching(netns_pair, server, site)
    # what the client's kernel thinks of our checksums
    counters = netns_pair.client.sh("nstat", "-az", "TcpInCsumErrors")
    assert counters.split("TcpInCsumErrors")[1].split()[0] == "0", counters
