# SPDX-License-Identifier: GPL-2.0
"""A SYN cookie is good for a minute at least, and not for ever. Takes two minutes: only with WEIR_SLOW=1."""
import os
import socket
import time

import pytest

import scenarios
from harness import net, play, servers, tcp
from harness.tcp import ACK
from plays import warm_up

GOOD_S, BAD_S = 60, 135  # Linux: two periods of 60 s; Weir: two units of WEIR_COOKIE_UNIT_S


def late_ack(seconds):
    def script(c):
        yield from c.syn()
        c.patience = seconds
        end = time.monotonic() + seconds
        yield from c.step("wait", until=lambda c: time.monotonic() >= end)
        yield from c.step("ACK with request", c.seg(ACK, c.request(scenarios.HIT)),
                          until=lambda c: bool(c.steps[-1].got))

    return script


@pytest.mark.skipif(not os.environ.get("WEIR_SLOW"), reason="takes two minutes: set WEIR_SLOW=1")
def test_cookie_is_good_for_a_minute_and_not_for_ever(root):
    with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as pair, \
         servers.weir(pair.server, servers.two_pools(root)) as weir:
        warm_up(pair, weir)
        wire = tcp.Wire(pair.client, net.CLIENT_IF)
        conns = play.Player(wire, servers.PORT).play(
            {s: (late_ack(s), socket.AF_INET, "full", {}) for s in (GOOD_S, BAD_S)})
        wire.close()
    assert conns[GOOD_S].responses() and not conns[GOOD_S].violations, conns[GOOD_S].transcript()
    assert conns[BAD_S].reactions()[-1].rst, conns[BAD_S].transcript()
