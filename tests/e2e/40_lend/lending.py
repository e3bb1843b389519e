# SPDX-License-Identifier: GPL-2.0
"""A Weir with two pools, one in the kernel cache and one never, and clients that watch what becomes of a connection."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import tempfile

from harness import content, net, play, servers, tcp

HIT, MISS, OTHER = "/hit/small-100.txt", "/miss/small-120.txt", "/miss/other-300.txt"
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
ADDRESSES = {"ipv4": net.SERVER_IP4, "ipv6": net.SERVER_IP6}


class Client(http.client.HTTPConnection):
    """One keep-alive connection of a real client; get() checks the body."""

    def __init__(self, pair, address=net.SERVER_IP4):
        super().__init__(address, servers.PORT, timeout=servers.START_S)
        self.sock = pair.client.connect(address, servers.PORT, servers.START_S)

    def ask(self, path, **headers):
        """The response, its body unread. No Accept-Encoding, which http.client would add: "identity" is no plain case."""
        self.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": "weir.test", **headers}.items():
            self.putheader(name, value)
        self.endheaders()
        return self.getresponse()

    def get(self, path, **headers):
        response = self.ask(path, **headers)
        body = response.read()
        assert response.status == 200 and body == content.body(path), f"{path}: {response.status}, {len(body)} bytes"
        return response

    @property
    def client_port(self):
        return self.sock.getsockname()[1]


class Lend:
    """The pair of namespaces, Weir in it, and questions about sockets and counters."""

    def __init__(self, pair, weir, root):
        self.pair, self.weir, self.root = pair, weir, root

    def client(self, address=net.SERVER_IP4):
        return Client(self.pair, address)

    def sockets(self, port=None, ns=None, mine="sport"):
        """`ss -tin` of connections in the server's namespace, one text each; of one client port, if given."""
        match = [f"{mine} = :{servers.PORT}"] + ([f"and dport = :{port}"] if port else [])
        out = (ns or self.pair.server).sh("ss", "-OHtion", "state", "connected", *" ".join(match).split())
        return [line for line in out.splitlines() if line]

    def warm(self, path=HIT, address=net.SERVER_IP4):
        """Asks on new connections until the answer comes from the kernel's cache."""

        def is_hit():
            before = self.weir.stat("kernel.hits")
            self.client(address).get(path)
            return self.weir.stat("kernel.hits") > before

        servers.wait_for(f"{path} is a kernel hit", is_hit)

    def count(self, *names):
        return [self.weir.stat(f"kernel.{name}") for name in names]

    def verdicts(self, *names):
        """Sum of some verdict counters."""
        all_ = self.weir.stats()["kernel"]["verdicts"]
        return sum(all_[name] for name in names)

    def workers(self, pool):
        """Process ids of a pool's workers."""
        status = json.loads(self.weir.command("status", "--json").stdout)
        return [row["worker_pid"] for row in status["pools"][pool]["workers"]]

    def raw(self, script, family="ipv4", options="full"):
        """Plays one scenario by hand; returns its notebook. A violation of TCP's rules fails."""
        wire = tcp.Wire(self.pair.client, net.CLIENT_IF)
        try:
            conn = play.Player(wire, servers.PORT).play({"it": (script, FAMILIES[family], options, {})})["it"]
        finally:
            wire.close()
        print(conn.transcript())
        assert not conn.violations, f"{conn.violations}\n{conn.transcript()}"
        return conn


def options_of(line):
    """{"ts", "sack", "wscale:7,10"} of a line of ss."""
    return set(re.findall(r"\b(ts|sack|ecn|wscale:\d+,\d+)\b", line))


def mirrored(options):
    """The same options as the other end shows them."""
    return {re.sub(r"wscale:(\d+),(\d+)", r"wscale:\2,\1", o) for o in options}


@contextlib.contextmanager
def lending(attach="native", pool="", prepare=None, listen=()):
    """A Lend with everything under it. prepare(pair) runs before Weir starts."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="weir_lend_"))
    root.chmod(0o755)
    try:
        for url in (HIT, MISS, OTHER):
            content.write(str(root), url)
        with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as pair:
            if prepare:
                prepare(pair)
            with servers.weir(pair.server, servers.two_pools(str(root), attach, listen=listen, pool=pool)) as weir:
                lend = Lend(pair, weir, root)
                for address in ADDRESSES.values():
                    lend.warm(address=address)
                yield lend
    finally:
        shutil.rmtree(root)
