# SPDX-License-Identifier: GPL-2.0
"""Scenarios 1 to 3b: wrk on loopback, against one server after the other, in rounds. The loopback interface is that of
a network namespace of our own: on the machine's there may be an XDP program already."""
import re

from harness import netns, procs, servers
from harness.report import Row

SMALL = "/a/small.txt"
MISS = "/b/small.txt"

# key -> title, target ratio, wrk's arguments, path, how the servers are started
SCENARIOS = {
    "1": ("small file, keep-alive", 3, [], SMALL, {}),
    "2": ("small file, Connection: close", 2, ["-H", "Connection: close"], SMALL, {}),
    "3": ("80 % hits, 20 % misses, two pools", 1.3, ["-s", "@HERE@/compare/mixed.lua"], "",
          {"conf": "mixed.conf", "paths": (SMALL, MISS)}),
    "11a": ("scenario 1, every hit is logged", None, [], SMALL, {"conf": "log.conf", "values": {"HITS": "full"}}),
    "11b": ("scenario 1, one hit in 100 is logged", None, [], SMALL, {"conf": "log.conf", "values": {"HITS": "100"}}),
    "11c": ("scenario 1, the same configuration, no hit is logged", None, [], SMALL,
            {"conf": "log.conf", "values": {"HITS": "off"}}),
    "3b": ("misses only (kernel cache off)", 0.9, [], SMALL, {"cached": False}),
}


def wrk(bench, ns, url, args):
    """Requests per second; fails on wrong answers, returns socket errors as a note."""
    out = procs.run(["wrk", "-t2", "-c64", f"-d{bench.seconds}s", "--timeout", "2s", *args, url],
                    ns, seconds=bench.seconds + 20)
    rate = re.search(r"Requests/sec:\s*([0-9.]+)", out)
    if not rate or "Non-2xx" in out:
        raise procs.BenchError(f"wrk: {' '.join(out.split())[-300:]}")
    errors = re.search(r"Socket errors: (.*)", out)
    return float(rate.group(1)), int(re.search(r"(\d+) requests in", out).group(1)), errors and errors.group(1)


def options_of(name, options):
    """A configuration is Weir's; nginx has one for all scenarios of this file."""
    return options if name == "weir" else {k: v for k, v in options.items() if k not in ("conf", "values")}


def run(bench, key):
    title, target, args, path, options = SCENARIOS[key]
    row = Row(key, title, "requests/s", (">=", target) if target else None)
    args = [a.replace("@HERE@", bench.here) for a in args]
    bench.rows.append(row)
    for n in range(bench.rounds):
        for name in bench.servers:
            with bench.guard(f"{key}, {name}"), netns.namespace("l") as ns, \
                    servers.start(bench, name, netns=ns, **options_of(name, options)) as server:
                before = server.hits()
                rate, requests, errors = wrk(bench, ns, server.url(path), args)
                row.add(name, rate)
                bench.say(f"  {key} round {n + 1} {name}: {rate:,.0f}/s")
                if errors:
                    row.notes.append(f"{servers.NAMES[name]}: socket errors: {errors}")
                if before is not None and not n:
                    share = (server.hits() - before) / requests
                    row.notes.append(f"{share:.0%} of Weir's answers came from the kernel")
