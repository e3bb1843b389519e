# SPDX-License-Identifier: GPL-2.0
"""Two network namespaces joined by a veth pair, for a test that owns both ends of a link.

The client side has two identities on one interface: CLIENT_*, configured, for real sockets; and RAW_*, which no kernel
holds, for packets by hand. The server knows both by static neighbour entries, so no ARP or ND is ever seen, and the
client's kernel answers nothing to what is sent to RAW_MAC.
"""
from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
import threading

SERVER_IP4, CLIENT_IP4, RAW_IP4 = "10.77.0.1", "10.77.0.2", "10.77.0.9"
SERVER_IP6, CLIENT_IP6, RAW_IP6 = "fd77::1", "fd77::2", "fd77::9"
SERVER_MAC, CLIENT_MAC, RAW_MAC = "02:77:00:00:00:01", "02:77:00:00:00:02", "02:77:00:00:00:09"
SERVER_IF, CLIENT_IF = "srv0", "cli0"

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()


def sh(*argv: str, check: bool = True) -> str:
    """Runs a command and returns what it printed; a failure shows its stderr."""
    p = subprocess.run(argv, capture_output=True, text=True)
    if check and p.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {p.stderr.strip() or p.stdout.strip()}")
    return p.stdout


class Namespace:
    """A named network namespace, deleted by close()."""

    def __init__(self, name: str):
        self.name = name
        sh("ip", "netns", "add", name)
        self.sh("ip", "link", "set", "lo", "up")

    @property
    def path(self) -> str:
        return f"/run/netns/{self.name}"

    def argv(self, *argv: str) -> list[str]:
        """The command line that runs `argv` here. Not `ip netns exec`: that hides /sys/fs/bpf."""
        return ["nsenter", f"--net={self.path}", *argv]

    def sh(self, *argv: str, check: bool = True) -> str:
        return sh(*self.argv(*argv), check=check)

    def popen(self, *argv: str, **kw) -> subprocess.Popen:
        return subprocess.Popen(self.argv(*argv), **kw)

    def sysctl(self, name: str, value: int | str) -> None:
        self.sh("sysctl", "-qw", f"{name}={value}")

    def call(self, fn, *args):
        """Runs fn(*args) in a thread that has entered this namespace; sockets it opens stay here."""
        box: list = []

        def run():
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _libc.setns(fd, _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"setns {self.path}")
                finally:
                    os.close(fd)
                box.append((fn(*args), None))
            except BaseException as e:  # handed to the caller below
                box.append((None, e))

        t = threading.Thread(target=run)
        t.start()
        t.join()
        value, error = box[0]
        if error:
            raise error
        return value

    def connect(self, addr: str, port: int, timeout: float = 10) -> socket.socket:
        return self.call(lambda: socket.create_connection((addr, port), timeout))

    def close(self) -> None:
        sh("ip", "netns", "del", self.name, check=False)


class Pair:
    """Namespaces `client` and `server` with cli0 <-> srv0 between them, IPv4 and IPv6."""

    def __init__(self, xdp_pass: str | None = None, client_csum_offload: bool = False):
        n = f"w{os.getpid()}x{next(_serial)}"
        self.client = Namespace(n + "c")
        self.server = Namespace(n + "s")
        try:
            self._link(xdp_pass, client_csum_offload)
        except BaseException:
            self.close()
            raise

    def _link(self, xdp_pass: str | None, client_csum_offload: bool) -> None:
        c, s = self.client, self.server
        for ns in (c, s):
            ns.sysctl("net.ipv6.conf.default.accept_dad", 0)
            ns.sysctl("net.ipv6.conf.default.accept_ra", 0)
            ns.sysctl("net.ipv4.conf.all.rp_filter", 0)
            ns.sysctl("net.ipv4.conf.default.rp_filter", 0)
        sh("ip", "link", "add", CLIENT_IF, "address", CLIENT_MAC, "netns", c.name, "type", "veth",
           "peer", "name", SERVER_IF, "address", SERVER_MAC, "netns", s.name)
        for ns, dev, ip4, ip6 in ((c, CLIENT_IF, CLIENT_IP4, CLIENT_IP6), (s, SERVER_IF, SERVER_IP4, SERVER_IP6)):
            ns.sh("ip", "addr", "add", ip4 + "/24", "dev", dev)
            ns.sh("ip", "addr", "add", ip6 + "/64", "dev", dev, "nodad")
            # Segments on the wire as a network card would send them, with their checksums filled in.
            off = ["tso", "off", "gso", "off", "gro", "off"]
            if ns is s or not client_csum_offload:
                off += ["tx", "off"]
            ns.sh("ethtool", "-K", dev, *off)
            ns.sh("ip", "link", "set", dev, "up")
        for ns, dev, hosts in (
            (c, CLIENT_IF, ((SERVER_IP4, SERVER_MAC), (SERVER_IP6, SERVER_MAC))),
            (s, SERVER_IF, ((CLIENT_IP4, CLIENT_MAC), (CLIENT_IP6, CLIENT_MAC), (RAW_IP4, RAW_MAC), (RAW_IP6, RAW_MAC))),
        ):
            for ip, mac in hosts:
                ns.sh("ip", "neigh", "replace", ip, "lladdr", mac, "dev", dev, "nud", "permanent")
        # What the oracle is compared with is its reaction, not its rate limits.
        s.sysctl("net.ipv4.tcp_syncookies", 2)
        s.sysctl("net.ipv4.tcp_invalid_ratelimit", 0)
        if xdp_pass:
            # veth delivers XDP_TX frames only to a peer that has a program too.
            c.sh("ip", "link", "set", "dev", CLIENT_IF, "xdp", "obj", xdp_pass, "sec", "xdp")

    def close(self) -> None:
        self.client.close()
        self.server.close()

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_) -> None:
        self.close()
