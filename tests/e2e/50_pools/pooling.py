# SPDX-License-Identifier: GPL-2.0
"""A Weir with pools of each kind in the namespaces of net.Pair, and what the tests want to know of it.

/debug/ belongs to the pool `debug` with the debug handler, /files/ to the pool `files` (static, in the kernel cache),
/plain/ to `plain` (static, never cached).
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import tempfile

from harness import content, net, servers
from harness.pool_client import Load

HIT, MISS, DEBUG = "/files/small-100.txt", "/plain/small-120.txt", "/debug"
IS_SLOW = bool(os.environ.get("WEIR_SLOW"))

POOLS = {
    "debug": ("handler = debug", "/debug/"),
    "files": ('root = "{root}/files"', "/files/"),
    "plain": ('root = "{root}/plain"\nkernel_cache = off', "/plain/"),
}


def allow(seconds):
    """Gives a test of the slow kind more time than conftest.py does."""
    signal.alarm(seconds)


class Pools:
    """Weir, its pair of namespaces, and questions about its pools."""

    def __init__(self, pair, root, config):
        self.pair, self.root, self.config, self.weir = pair, root, config, None

    def load(self):
        return Load(self.pair.client)

    def status(self):
        return json.loads(self.weir.command("status", "--json").stdout)

    def pool(self, name):
        return self.status()["pools"][name]

    def worker(self, name, slot=0):
        """A worker's process id, 0 when there is none."""
        return self.pool(name)["workers"][slot]["worker_pid"]

    def keeper(self, name, slot=0):
        return self.pool(name)["workers"][slot]["keeper_pid"]

    def state(self, name):
        return self.pool(name)["state"]

    def wait_state(self, name, state, timeout=20):
        try:
            servers.wait_for(f"pool {name} is {state}", lambda: self.state(name) == state, timeout)
        except TimeoutError:
            raise TimeoutError(f"pool {name} is not {state} after {timeout} s: {self.pool(name)}") from None

    def wait_worker(self, name, other_than=(), slot=0, timeout=20):
        """The id of a started worker that is none of `other_than`."""

        def look():
            row = self.pool(name)["workers"][slot]
            return row["state"] == "started" and row["worker_pid"] not in (0, *other_than) and row["worker_pid"]

        return servers.wait_for(f"another worker of {name}", look, timeout)

    def do(self, verb, name, check=True):
        return self.weir.command("pool", verb, name, check=check)

    def queue(self, name):
        return json.loads(self.weir.command("queue", "--json").stdout)["pools"][name]

    def stats(self, name):
        return self.weir.stats()["pools"][name]

    def crash(self, name, number=signal.SIGSEGV):
        """Kills a worker; returns its id."""
        pid = self.wait_worker(name)
        os.kill(pid, number)
        return pid

    def get(self, path, *words, timeout=20):
        """(status, head and body) of one request on a connection of its own; status 0: none came."""
        done = self.curl(path, *words, timeout=timeout)
        head = done.stdout.split(" ", 2)
        return (int(head[1]) if head[0].startswith("HTTP/") else 0), done.stdout

    def curl(self, path, *words, timeout=20):
        from instance import run

        url = f"http://{net.SERVER_IP4}:{servers.PORT}{path}"
        return run(*self.pair.client.argv("curl", "-siS", "--noproxy", "*", "--max-time", str(timeout),
                                          "-H", "Host: weir.test", *words, url), check=False)

    def connect(self):
        return self.pair.client.connect(net.SERVER_IP4, servers.PORT, 20)

    def warm(self, path=HIT):
        """Asks until the kernel's cache answers."""

        def is_hit():
            before = self.weir.stat("kernel.hits")
            assert self.get(path)[0] == 200
            return self.weir.stat("kernel.hits") > before

        servers.wait_for(f"{path} is a kernel hit", is_hit)

    def idle_flows(self):
        """Waits until no connection is known to the kernel side any more."""
        servers.wait_for("no flow is left", lambda: self.weir.stat("kernel.flows") == 0)

    def queues_are_empty(self):
        """Waits until nothing waits anywhere and what arrived has been taken."""
        names = list(self.status()["pools"])

        def is_empty(q):
            return q["depth"] == 0 and q["arrived"] == q["taken"] and q["in_sockets"] == 0

        servers.wait_for("queues are empty", lambda: all(is_empty(self.queue(name)) for name in names))


def write_config(root, common="", **pools):
    """The text of a configuration: pools="name" to the parameters that it has besides those of POOLS."""
    text = f"""
listen = {{"{net.SERVER_IP4}:{servers.PORT}"}}
attach = native
interfaces = {{"{net.SERVER_IF}"}}
{common}
"""
    for name, more in pools.items():
        base, prefix = POOLS[name]
        text += f"""
pool {name} {{
{base.format(root=root)}
prefixes = {{"http://*:{servers.PORT}{prefix}"}}
{more}
}}
"""
    return text


@contextlib.contextmanager
def folders():
    """(pair, root): the namespaces, and the site."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="weir_pools_"))
    root.chmod(0o755)
    try:
        for url in (HIT, MISS):
            content.write(str(root), url)
        with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as pair:
            pair.client.sysctl("net.ipv4.ip_local_port_range", "1024 65000")
            pair.client.sysctl("net.ipv4.tcp_tw_reuse", 1)
            yield pair, root
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def pooling(**pools):
    """pooling(debug="threads = 4", files="") as Pools."""
    with folders() as (pair, root):
        it = Pools(pair, root, write_config(root, **pools))
        with servers.weir(pair.server, it.config) as weir:
            it.weir = weir
            for name in pools:
                if "on_demand" not in pools[name]:
                    it.wait_state(name, "started")
            yield it


def open_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def fd_targets(pid):
    """What a process has open, for people."""
    out = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            out.append(f"{path.name}: {os.readlink(path)}")
    return sorted(out, key=lambda text: int(text.split(":")[0]))


def resident_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
