# SPDX-License-Identifier: GPL-2.0
"""A load balancer that sends the SYN to one host and the rest of the connection to another: with a common secret the second
host answers."""
import os
import socket
import time

import pytest
from harness import content, net, servers, tcp
from harness.servers import PORT, wait_for
from harness.tcp import ACK, PSH, RST, SYN, Options, Segment

HIT = "/hit/page-900.txt"


class Face:
    """One of two links to hosts with the same address, and a client made of packets that both take for the same."""

    def __init__(self, pair):
        self.wire = tcp.Wire(pair.client, net.CLIENT_IF)

    def send(self, family, port, seq, ack, flags, opts, data=b""):
        src, dst = (net.RAW_IP4, net.SERVER_IP4) if family == socket.AF_INET else (net.RAW_IP6, net.SERVER_IP6)
        self.wire.send(Segment(family, src, dst, port, PORT, seq, ack, flags, opts=opts, data=data))

    def receive(self, port, what, seconds=5):
        """The first segment to `port` that what() is true of; None after `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for segment in self.wire.receive():
                assert not segment.errors
                if segment.dport == port and what(segment):
                    return segment
            time.sleep(0.005)
        return None


@pytest.fixture
def links():
    with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as one, net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as two:
        yield one, two


@pytest.fixture
def root(tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    for url in (HIT, "/miss/page-900.txt"):
        content.write(str(tmp_path), url)
    return str(tmp_path)


def secret_file(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return f'fleet_secret_file = "{path}"\n'


def play(links, family, timestamps, target=HIT, port=40000):
    """SYN over the first link, ACK and request over the second. What came back there."""
    first, second = map(Face, links)
    opts = Options(mss=1460, wscale=7, sack_ok=True, ts=(1000, 0)) if timestamps else Options(mss=1460)
    first.send(family, port, 5000, 0, SYN, opts)
    syn_ack = first.receive(port, lambda s: s.flags & SYN)
    assert syn_ack and syn_ack.flags & ACK and syn_ack.ack == 5001
    opts = Options(ts=(1010, syn_ack.opts.ts[0])) if timestamps else Options()
    second.send(family, port, 5001, syn_ack.seq + 1, ACK, opts)
    data = f"GET {target} HTTP/1.1\r\nHost: weir.test\r\n\r\n".encode()
    second.send(family, port, 5001, syn_ack.seq + 1, ACK | PSH, opts, data)
    answer = second.receive(port, lambda s: s.data or s.flags & RST)
    if answer and answer.data:
        assert answer.seq == (syn_ack.seq + 1) & 0xFFFFFFFF and answer.ack == 5001 + len(data)
    if answer and timestamps and answer.data:
        ahead = (answer.opts.ts[0] - syn_ack.opts.ts[0]) & 0xFFFFFFFF
        assert ahead < 10_000, "a timestamp in the client's past would be dropped (RFC 7323 5)"
    second.send(family, port, 5001 + len(data), 0, RST, Options())
    return answer


@pytest.mark.parametrize("timestamps", [True, False], ids=["timestamps", "bare"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def test_one_host_completes_what_another_began(links, root, tmp_path, family, timestamps):
    line = secret_file(tmp_path / "secret", os.urandom(32).hex() + "\n")
    config = line + servers.two_pools(root)
    with servers.weir(links[0].server, config), servers.weir(links[1].server, config) as second:
        answer = play(links, family, timestamps)
        assert answer and answer.data.startswith(b"HTTP/1.1 200"), answer
        answer = play(links, family, timestamps, "/miss/page-900.txt", 40001)  # lent to a worker
        assert answer and answer.data.startswith(b"HTTP/1.1 200"), answer
        wait_for("it was counted", lambda: second.stat("kernel.verdicts.accepted") == 2)


@pytest.mark.parametrize("how", ["none", "different"])
def test_without_a_common_secret_it_does_not(links, root, tmp_path, how):
    lines = ["", ""] if how == "none" else [secret_file(tmp_path / f"{n}", os.urandom(32).hex()) for n in range(2)]
    with servers.weir(links[0].server, lines[0] + servers.two_pools(root)), \
         servers.weir(links[1].server, lines[1] + servers.two_pools(root)) as second:
        answer = play(links, socket.AF_INET, True)
        assert answer and answer.flags & RST and not answer.data
        assert second.stat("kernel.verdicts.accepted") == 0


def test_a_secret_survives_a_killed_supervisor(links, root, tmp_path):
    line = secret_file(tmp_path / "secret", "ab" * 32)
    config = line + servers.two_pools(root)
    with servers.weir(links[0].server, config), servers.weir(links[1].server, config) as second:
        second.remember_programs()
        second.process.kill()
        second.process.wait()
        second.start()
        answer = play(links, socket.AF_INET, True)
        assert answer and answer.data.startswith(b"HTTP/1.1 200"), answer
