# SPDX-License-Identifier: GPL-2.0
"""Which scenarios are played, and against what."""
from __future__ import annotations

import socket

import scenarios
from harness import net, play, servers, tcp

FAMILIES = (socket.AF_INET, socket.AF_INET6)
OPTIONS = ("full", "bare")
MODES = ("native", "generic")


def scripts() -> dict:
    """(scenario, state, family, options) -> what Player.play() takes."""
    out = {}
    for family in FAMILIES:
        for name, script in scenarios.FRESH.items():
            out[name, "fresh", family.name, "full"] = (script, family, "full", {})
        for state, (prelude, url) in scenarios.STATES.items():
            for name, script in scenarios.IN_CONNECTION.items():
                for options in OPTIONS:
                    out[name, state, family.name, options] = (
                        script, family, options, dict(prelude=prelude, url=url, state=state))
    return out


def quiet_pair() -> net.Pair:
    """Namespaces where no timer of the server's kernel speaks into a scenario: no tail loss probe, no retransmission.
    Sockets take the values over when they are made, so this comes before any server."""
    pair = net.Pair(xdp_pass=servers.tool("pass.bpf.o"))
    pair.server.sysctl("net.ipv4.tcp_early_retrans", 0)
    pair.server.sysctl("net.ipv4.tcp_rto_min_us", 5_000_000)
    return pair


def play_all(pair) -> dict:
    wire = tcp.Wire(pair.client, net.CLIENT_IF)
    try:
        return play.Player(wire, servers.PORT).play(scripts())
    finally:
        wire.close()


def warm_up(pair, weir) -> None:
    """Asks until the hit is one, so that every scenario meets the same cache."""
    for host in (net.SERVER_IP4, f"[{net.SERVER_IP6}]"):

        def is_hit(url=f"http://{host}{scenarios.HIT}"):
            before = weir.stat("kernel.hits")
            pair.client.sh("curl", "-sS", "-o", "/dev/null", "-H", "Host: weir.test", url)
            return weir.stat("kernel.hits") > before

        servers.wait_for("a kernel hit", is_hit)


class Run:
    """The notebooks of one Weir, and what its counters moved by meanwhile."""

    def __init__(self, mode: str, root: str):
        with quiet_pair() as pair, servers.weir(pair.server, servers.two_pools(root, mode)) as weir:
            warm_up(pair, weir)
            before = weir.stats()
            self.conns = play_all(pair)
            self.count = servers.moved(before, weir.stats())
