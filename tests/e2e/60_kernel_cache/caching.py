# SPDX-License-Identifier: GPL-2.0
"""What the tests of the kernel cache ask of a running Weir."""
import collections
import http.client
import time

from harness import net, servers
from instance import PINS, PORT, run

HOST = "weir.test"
OLD_DATE = "Sat, 05 Nov 1994 08:00:00 GMT"
FROM_KERNEL = b"from the kernel\n"

Answer = collections.namedtuple("Answer", "status fields body")


class Caching:
    def __init__(self, pair, weir, site):
        self.pair, self.weir, self.site = pair, weir, site

    def connect(self):
        connection = http.client.HTTPConnection(net.SERVER_IP4, PORT, timeout=20)
        connection.sock = self.pair.client.connect(net.SERVER_IP4, PORT, 20)
        return connection

    def ask(self, target, connection=None, method="GET", **fields):
        """One request, on a connection of its own unless told otherwise; "_" in names of fields stands for "-"."""
        mine = connection or self.connect()
        mine.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        mine.putheader("Host", HOST)
        for name, value in fields.items():
            mine.putheader(name.replace("_", "-"), value)
        mine.endheaders()
        response = mine.getresponse()
        answer = Answer(response.status, response.getheaders(), response.read())
        if not connection:
            mine.close()
        return answer

    def curl(self, target, *words):
        """What curl shows of an answer, head and body."""
        return run(*self.pair.client.argv("curl", "-sS", "-i", "--noproxy", "*", "--max-time", "20", "-H", f"Host: {HOST}",
                                          *words, f"http://{net.SERVER_IP4}:{PORT}{target}")).stdout

    def count(self, *names):
        """Counters of the kernel side, and "requests": those that workers served."""
        stats = self.weir.stats()
        return [stats["pools"]["default"]["requests"] if name == "requests" else
                stats["kernel"]["reasons"][name[7:]] if name.startswith("reason_") else stats["kernel"][name]
                for name in names]

    def warm(self, target):
        """Asks until the kernel has something of the target. The worker's answer."""
        answer = self.ask(target)
        servers.wait_for(f"{target} is in the kernel cache", lambda: self.entry(target))
        return answer

    def entry(self, target):
        import json
        rows = json.loads(self.weir.command("cache", "list", "--json").stdout)["entries"]
        return next((row for row in rows if row["url"] == HOST + target), None)

    def publish(self, target, **options):
        """Puts a response into the kernel cache as a worker would. The end of its freshness, time.monotonic()."""
        pins = PINS / self.weir.folder.name
        words = [f"{name}={value}" for name, value in options.items()]
        out = run(servers.tool("publish"), pins, "default", 0, HOST, target, *words).stdout
        return int(out) / 1e9


def value(answer, name):
    found = [v for n, v in answer.fields if n.lower() == name.lower()]
    assert len(found) <= 1, answer
    return found[0] if found else None


def without(fields, *names):
    return [(n, v) for n, v in fields if n.lower() not in [name.lower() for name in names]]


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)
