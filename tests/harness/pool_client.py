# SPDX-License-Identifier: GPL-2.0
"""pool_client.c from Python: load that counts how each request ended."""
from __future__ import annotations

import json
import select
import subprocess

from . import net, servers

GOOD = {"ok", "opened", "retry_after", "busy", "open", "ok_us", "refused_us", "phrases"}


class Load:
    """Some connections of one client. Use it with `with`."""

    def __init__(self, ns: net.Namespace, address: str = net.SERVER_IP4, port: int = servers.PORT):
        self.process = ns.popen(servers.tool("pool_client"), address, str(port), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True, bufsize=1)

    def say(self, *words) -> None:
        print(*words, file=self.process.stdin, flush=True)

    def open(self, connections: int, now: bool = False) -> "Load":
        """`now`: connects at once, and the connections stay silent until told to go."""
        self.say("open", connections, *(["now"] if now else []))
        return self

    def go(self, path: str, count: int = 0, think_ms: int = 0, mode: str = "keep") -> "Load":
        """Each connection asks `count` times; 0: until halt()."""
        self.say("go", count, think_ms, mode, path)
        return self

    def _answer(self, seconds: float) -> dict:
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"pool_client said nothing for {seconds} s")
        return json.loads(self.process.stdout.readline())

    def report(self) -> dict:
        self.say("report")
        return self._answer(10)

    def wait(self, seconds: float = 40) -> dict:
        """What happened since the last report, when every request has ended."""
        self.say("wait", int(seconds * 1000))
        counts = self._answer(seconds + 10)
        assert not counts["busy"], f"not done after {seconds} s: {counts}"
        return counts

    def halt(self, seconds: float = 40) -> dict:
        self.say("halt")
        return self.wait(seconds)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def wrong(counts: dict, *allowed: str) -> dict:
    """What happened besides `allowed` and success."""
    return {name: n for name, n in counts.items() if n and name not in GOOD and name not in allowed}


def add(*reports: dict) -> dict:
    """The sum of some reports, times left out."""
    out: dict = {}
    for counts in reports:
        for name, n in counts.items():
            if isinstance(n, int):
                out[name] = out.get(name, 0) + n
    return out
