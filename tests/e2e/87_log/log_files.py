# SPDX-License-Identifier: GPL-2.0
"""A Weir that logs, and what is in its files: pools `site` (static, in the kernel cache), `plain` (static, never cached) and `debug`."""
import collections
import contextlib
import json
import os
import pathlib
import re
import signal

from harness.net import SERVER_IP4
from harness.pool_client import Load
from harness.servers import wait_for
from instance import PORT, run

CONFIG = """
listen = {{ "{address}:8080" }}
access_log = "{folder}/access.log"
error_log = "{folder}/error.log"
{more}
pool site {{
	root = "{root}"
	prefixes = {{ "http://*:8080/" }}
	{site}
}}
pool plain {{
	root = "{root}"
	kernel_cache = off
	prefixes = {{ "http://*:8080/plain/" }}
}}
pool debug {{
	handler = debug
	rapid_fail_protection = off
	threads = 4
	prefixes = {{ "http://*:8080/debug/" }}
}}
"""
HIT, MISS, DEBUG = "/small.txt", "/plain/small.txt", "/debug"
IS_SLOW = bool(os.environ.get("WEIR_SLOW"))
COMBINED = re.compile(r'(?P<client>\S+) - - \[(?P<stamp>[^]]+)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) '
                      r'(?P<bytes>\d+) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"(?P<more>.*)')
ERROR_FIELDS = ("date time c-ip c-port s-ip s-port cs-version cs-method cs-uri sc-status s-siteid s-reason "
                "s-queuename").split()


class Logs:
    """The files of one instance, whatever they are called by now."""

    def __init__(self, folder, pair):
        self.folder, self.pair, self.weir = folder, pair, None

    def files(self, name="access.log"):
        """From the oldest to the present one."""
        found = sorted(self.folder.glob(f"{name}.*"), key=lambda p: -int(p.suffix[1:]))
        return found + [p for p in [self.folder / name] if p.exists()]

    def text(self, name="access.log"):
        return "".join(path.read_text() for path in self.files(name))

    def lines(self, name="access.log"):
        """Without directives and remarks."""
        return [line for line in self.text(name).splitlines() if line and line[0] != "#"]

    def errors(self):
        rows = [line.split(" ") for line in self.lines("error.log")]
        assert all(len(row) == len(ERROR_FIELDS) for row in rows), rows
        return [dict(zip(ERROR_FIELDS, row)) for row in rows]

    def statuses(self):
        """Of combined lines; every one must be whole."""
        counts = collections.Counter()
        for line in self.lines():
            match = COMBINED.fullmatch(line)
            assert match, f"not a line of the combined format: {line!r}"
            counts[int(match["status"])] += 1
        return counts

    def said_lost(self):
        return sum(int(n) for n in re.findall(r"^# (\d+) records were lost", self.text(), re.M))

    def wait_lines(self, count, name="access.log"):
        wait_for(f"{count} lines in {name}", lambda: len(self.lines(name)) >= count)

    def get(self, target=HIT, headers=(), status=200):
        words = [word for header in headers for word in ("-H", header)]
        done = run(*self.pair.client.argv("curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}",
                                          *words, f"http://{SERVER_IP4}:{PORT}{target}"))
        assert int(done.stdout) == status, done.stdout

    def raw(self, data):
        """What comes back for bytes of our own making, until the end."""
        with self.pair.client.connect(SERVER_IP4, PORT, 10) as s:
            s.sendall(data)
            got = b""
            while more := s.recv(65536):
                got += more
        return got

    def load(self):
        return Load(self.pair.client, port=PORT)

    def loaded_ms(self):
        """When the supervisor's program began; 0 while it does not answer."""
        done = self.weir.command("status", "--json", check=False)
        return json.loads(done.stdout)["loaded_ms"] if done.returncode == 0 else 0

    def loggers(self):
        """The processes that write, of this run and of those before it."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (path / "comm").read_text() == "weir-log\n" and any(
                        os.readlink(fd).startswith(str(self.folder)) for fd in (path / "fd").iterdir()):
                    found.append(int(path.name))
        return found

    def logger(self):
        """The one of them, 0 when there is none or more."""
        found = self.loggers()
        return found[0] if len(found) == 1 else 0

    def wait_logger(self, other_than=0):
        wait_for("the log's process runs", lambda: self.logger() not in (0, other_than))
        return self.logger()


def allow(seconds):
    signal.alarm(seconds)


def jsons(it):
    return [json.loads(line) for line in it.lines()]
