# SPDX-License-Identifier: GPL-2.0
"""The servers that packets are played against: the plain listener (the oracle) and Weir."""
from __future__ import annotations

import contextlib
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

from . import net

BUILD = os.path.join(os.path.dirname(__file__), "..", "..", os.environ.get("BUILD", "build"))
PORT = 80
START_S = 20


def tool(name: str) -> str:
    return os.path.abspath(os.path.join(BUILD, "tests", "harness", name))


def wait_for(what: str, check, timeout: float = START_S, every: float = 0.02):
    """Polls until check() is true and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(every)


def wait_for_line(p: subprocess.Popen, line: str, timeout: float = START_S) -> None:
    """Waits until a process has printed `line`."""
    if not select.select([p.stdout], [], [], timeout)[0] or p.stdout.readline().strip() != line:
        raise RuntimeError(f"{p.args}: no '{line}' within {timeout} s")


def stop(p: subprocess.Popen, timeout: float = 20) -> None:
    if p.poll() is None:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


class Listener:
    """tests/harness/listener.c in a namespace."""

    name = "linux"

    def __init__(self, ns: net.Namespace, port: int = PORT):
        self.port = port
        self.process = ns.popen(tool("listener"), str(port), stdout=subprocess.PIPE, text=True)
        wait_for_line(self.process, "ready")

    def close(self) -> None:
        stop(self.process)


def two_pools(root: str, attach: str = "native", interface: str = net.SERVER_IF, listen: tuple[str, ...] = (),
              pool: str = "") -> str:
    """A configuration with root/hit/ in the kernel cache and root/miss/ never in it, each in a pool of its own."""
    listen = listen or (f"{net.SERVER_IP4}:{PORT}", f"[{net.SERVER_IP6}]:{PORT}")
    return f"""
listen = {{{", ".join(f'"{x}"' for x in listen)}}}
attach = {attach}
interfaces = {{"{interface}"}}
pool cached {{
	root = "{root}/hit"
	prefixes = {{"http://*:{PORT}/hit/"}}
	{pool}
}}
pool plain {{
	root = "{root}/miss"
	prefixes = {{"http://*:{PORT}/miss/"}}
	kernel_cache = off
	{pool}
}}
"""


@contextlib.contextmanager
def weir(ns: net.Namespace, config: str):
    """One run of Weir for many tests; the fixture of that name is for one. Nothing may be left of it at the end."""
    from instance import Weir

    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir_run_"))
    folder.chmod(0o755)
    (folder / "weir.conf").write_text(config)
    run = Weir(folder, ns, ("-c", folder / "weir.conf"))
    try:
        yield run.start()
        run.stop()
        wait_for("nothing is left", lambda: not run.left(), timeout=10)
    finally:
        run.clear()
        print(f"--- weir run\n{run.log}")
        shutil.rmtree(folder)


def flat(stats: dict, prefix: str = "") -> dict[str, int]:
    """{"kernel": {"hits": 1}} as {"kernel.hits": 1}"""
    out = {}
    for key, value in stats.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)):
            out[prefix + key] = value
    return out


def moved(before: dict, after: dict) -> dict[str, int]:
    """What counted between two `weir stats`, for assertions and for people."""
    a, b = flat(before), flat(after)
    return {k: v - a.get(k, 0) for k, v in b.items() if v != a.get(k, 0)}
