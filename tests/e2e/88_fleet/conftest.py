# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the fleet tests: a real server, and hosts that share it.

redis     a Redis server on a Unix socket of its own; stop(), start(), cli("XLEN", ...)
host      host() is an instance in a namespace of its own, in front of an origin of its own
pair      two hosts that know of each other
"""
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "80_cache")]

from harness import net
from harness.servers import wait_for
from instance import run
from origin import Client, Origin, Page, config

STREAM = "weir:purges"
numbers = itertools.count()


class Redis:
    """A server in a folder of its own. `save`: whether it keeps its data when it ends."""

    def __init__(self, folder, words=()):
        self.folder, self.words, self.process = folder, words, None
        self.socket = folder / "redis.sock"
        self.password = None

    @property
    def address(self):
        return f"unix:{self.socket}"

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "777",
                 "--dir", str(self.folder), "--save", "", "--appendonly", "no", *self.words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("the server answers", lambda: self.cli("PING", check=False) in ("PONG", "NOAUTH Authentication required."))

    def cli(self, *words, check=True):
        login = ["-a", self.password, "--no-auth-warning"] if self.password else []
        return run("redis-cli", "-s", self.socket, *login, *words, check=check).stdout.strip()

    def stop(self, number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()


@pytest.fixture
def redis():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir_redis_"))
    folder.chmod(0o755)
    server = Redis(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


class Host:
    """One host of a fleet: an instance `weir`, its `origin`, and a client of it."""

    def __init__(self, start, netns, redis, lines, pool):
        self.netns, self.start = netns, start
        self.origin = Origin(netns)
        more = f'fleet_redis = "{redis.address}"\n{lines}'
        self.weir = start(netns=netns, config=config([self.origin], pool, more))

    def fleet_pid(self):
        """Of the process that talks to the server; None: there is none."""
        for pid in self.weir.processes():
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "weir-fleet":
                    return pid
        return None

    def kill_supervisor(self):
        self.weir.remember_programs()
        self.weir.process.kill()
        self.weir.process.wait()
        wait_for("its fleet process has ended", lambda: not self.fleet_pid())

    def restart(self):
        """After its supervisor was killed: the next one takes over its workers, and so their caches."""
        self.weir = self.start(again=self.weir)

    def get(self, target):
        client = Client(self.netns)
        try:
            return client.get(target)[2].decode()
        finally:
            client.close()

    def keep(self, *targets, fields="", text="old"):
        """Has `text` in the cache for each target, and another text at the origin."""
        for target in targets:
            self.origin.pages[target] = Page(f"{text} {target}", "Cache-Control: max-age=600\r\n" + fields)
            for _ in range(3):
                assert self.get(target) == f"{text} {target}"
            self.origin.pages[target] = Page(f"new {target}", "Cache-Control: max-age=600\r\n" + fields)
            assert self.get(target) == f"{text} {target}"

    def has_old(self, target):
        return self.get(target) == f"old {target}"

    @property
    def fleet(self):
        return json.loads(self.weir.command("status", "--json").stdout)["fleet"]

    def wait_connected(self, hosts=None):
        wait_for("the host is connected", lambda: self.fleet["connected"])
        if hosts is not None:
            # a host is counted when it has said that it is there, which it does every three seconds
            wait_for(f"{hosts} others are known", lambda: self.fleet["hosts"] == hosts)


@pytest.fixture
def spaces():
    """Namespaces that outlive the instances in them."""
    made = []

    def make():
        made.append(net.Namespace(f"fleet{os.getpid()}x{next(numbers)}"))
        return made[-1]

    yield make
    for it in made:
        it.close()


@pytest.fixture
def host(spaces, redis, weir):
    hosts = []

    def make(lines="", server=redis, pool=""):
        hosts.append(Host(weir, spaces(), server, lines, pool))
        return hosts[-1]

    yield make
    for it in hosts:
        it.origin.close()


@pytest.fixture
def pair(host):
    """Two hosts that know of each other."""
    a, b = host(), host()
    a.wait_connected(1)
    b.wait_connected(1)
    return a, b
