# SPDX-License-Identifier: GPL-2.0
"""Scenario "curves": the small file of scenario 1 over the number of connections, and its latency, as SVG beside the
table. One round; the table's numbers come from the other scenarios."""
import os
import re

from harness import netns, plot, procs, servers
from scenarios.wrk import SMALL

CONNECTIONS = [2, 8, 32, 128, 512]
PERCENTILES = ["50%", "75%", "90%", "99%"]
UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


def measure(bench, ns, url, connections):
    """(requests a second, milliseconds by percentile)"""
    out = procs.run(["wrk", "-t2", f"-c{connections}", f"-d{bench.seconds}s", "--latency", "--timeout", "2s", url], ns,
                    seconds=bench.seconds + 20)
    rate = re.search(r"Requests/sec:\s*([0-9.]+)", out)
    if not rate or "Non-2xx" in out:
        raise procs.BenchError(f"wrk: {' '.join(out.split())[-300:]}")
    late = {p: float(v) * UNITS[u] for p, v, u in re.findall(r"^\s+(\d+%)\s+([0-9.]+)(us|ms|s|m)$", out, re.M)}
    return float(rate.group(1)), late


def run(bench, key):
    rates, late = {}, {}
    for name in [s for s in bench.servers if s != "nginx-nosendfile"]:
        title = servers.NAMES[name]
        with bench.guard(f"{key}, {name}"), netns.namespace("l") as ns, servers.start(bench, name, netns=ns) as server:
            for connections in CONNECTIONS:
                rate, percentiles = measure(bench, ns, server.url(SMALL), connections)
                rates.setdefault(title, []).append(rate)
                late.setdefault(title, []).append(percentiles)
                bench.say(f"  {key} {name} {connections} connections: {rate:,.0f}/s, 99 % in {percentiles.get('99%', 0):.2f} ms")
    if not rates:
        return
    os.makedirs(bench.results, exist_ok=True)
    with open(f"{bench.results}/rate.svg", "w", encoding="utf-8") as f:
        f.write(plot.line_chart("Small cached file on loopback, keep-alive", "connections", "requests a second", CONNECTIONS,
                                rates))
    middle = CONNECTIONS.index(128)
    with open(f"{bench.results}/latency.svg", "w", encoding="utf-8") as f:
        f.write(plot.line_chart("Latency with 128 connections", "percentile", "milliseconds", PERCENTILES,
                                {name: [rows[middle].get(p) for p in PERCENTILES] for name, rows in late.items()
                                 if len(rows) > middle}, is_log_y=True))
