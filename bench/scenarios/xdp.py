# SPDX-License-Identifier: GPL-2.0
"""Scenario 4: the XDP load generator on one end of a veth pair, the server on the other, native mode. Once on all
cores, once with generator, server and softirqs on one core."""
import json
import os

from harness import netns, procs, servers
from harness.report import Row

PATH = "/a/small.txt"


def generate(bench, client_ns, cpus, seconds=None, extra=()):
    """Runs the generator; returns its JSON. Bad responses end the scenario: a rate of wrong answers is none."""
    cmd = [f"{bench.tools}/load/gen", "--dev", netns.CLIENT_DEV, "--server-ip", netns.SERVER_IP,
           "--client-ip", netns.CLIENT_IP, "--port", str(servers.PORT), "--path", PATH,
           "--expect", f"{bench.root_a}{PATH}", "--connections", str(bench.connections),
           "--seconds", str(seconds or bench.seconds), "--cpus", ",".join(map(str, cpus)), *extra]
    result = json.loads(procs.run(cmd, client_ns, (seconds or bench.seconds) + 30, ok=(0, 2)))
    if result["bad"] or not result["verified"]:
        raise procs.BenchError(f"generator: {result['bad']} bad, {result['verified']} right: {result['counters']}")
    return result


def one(bench, name, cpus):
    """One measurement, with a fresh pair of namespaces. nginx closes idle connections when a sixteenth is left."""
    pass_object = None if name == "weir" else f"{bench.tools}/load/pass.bpf.o"
    with netns.veth_pair(len(cpus), pass_object) as (server_ns, client_ns):
        options = {"addr": netns.SERVER_IP, "netns": server_ns, "interface": netns.SERVER_DEV, "attach": "native",
                   "workers": len(cpus), "connections": bench.connections * 6 // 5 + 512, "cpus": cpus,
                   "paths": (PATH,)}
        with servers.start(bench, name, **options) as server:
            before = server.hits()
            result = generate(bench, client_ns, cpus, extra=("--timestamps",) if bench.timestamps else ())
            if before is not None:
                result["hits"] = server.hits() - before
            return result


def run(bench, key):
    del key
    cores = sorted(os.sched_getaffinity(0))
    one_core = Row("4a", "XDP generator, all on one core", "responses/s/core", (">=", 15))
    all_cores = Row("4b", "XDP generator, all cores", "responses/s")
    per_cpu = Row("4c", "the same per busy CPU second", "responses/CPU s")
    bench.rows += [one_core, all_cores, per_cpu]
    for n in range(bench.rounds):
        for name in bench.servers:
            with bench.guard(f"4a, {name}"):
                r = one(bench, name, cores[:1])
                one_core.add(name, r["responses_per_s"])
                note(one_core, name, r)
                bench.say(f"  4a round {n + 1} {name}: {r['responses_per_s']:,}/s on one core")
            with bench.guard(f"4b, {name}"):
                r = one(bench, name, cores)
                all_cores.add(name, r["responses_per_s"])
                per_cpu.add(name, r["responses_per_cpu_s"])
                note(all_cores, name, r)
                bench.say(f"  4b round {n + 1} {name}: {r['responses_per_s']:,}/s on {len(cores)} cores, "
                          f"{r['responses_per_cpu_s']:,} per CPU second")


def note(row, name, r):
    if r["stalls"] or r["reopened"]:
        row.notes.append(f"{servers.NAMES[name]}: {r['stalls']} stalls, {r['reopened']} connections reopened")
    if "hits" in r and r["hits"] < r["verified"]:
        row.notes.append(f"only {r['hits']:,} kernel hits for {r['verified']:,} verified responses")
