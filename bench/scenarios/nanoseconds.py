# SPDX-License-Identifier: GPL-2.0
"""Scenario 5: nanoseconds of weir_xdp for one hit, one miss, one packet passed, and for finding the route of a hit among
ten thousand prefixes. By BPF_PROG_TEST_RUN on the running
program (bench/bpf/ns.c says how), and for hits also as the mean in real traffic, by kernel.bpf_stats_enabled."""
import contextlib
import json
import os

from harness import netns, procs, servers
from harness.report import Row
from scenarios import xdp

STATS = "/proc/sys/kernel/bpf_stats_enabled"
MISS = "/a/there-is-none.txt"
MANY = 10000


@contextlib.contextmanager
def bpf_stats():
    """Run time statistics of all programs, for a while; the setting is put back."""
    with open(STATS) as f:
        before = f.read()
    try:
        with open(STATS, "w") as f:
            f.write("1")
        yield
    finally:
        with open(STATS, "w") as f:
            f.write(before)


def program_id(ns, dev, name):
    """Of the program on an interface; behind libxdp's dispatcher, of the newest one with that name."""
    link = json.loads(procs.run(["ip", "-j", "-n", ns, "link", "show", "dev", dev]))[0]
    on_dev = link.get("xdp", {}).get("prog", {}).get("id")
    programs = json.loads(procs.run(["bpftool", "prog", "show", "-j"], seconds=20))
    named = [p["id"] for p in programs if p.get("name") == name]
    if not named:
        raise procs.BenchError(f"no program {name} on {dev}")
    return on_dev if on_dev in named else max(named)


def run_time(prog):
    """Nanoseconds and runs of a program so far, while statistics are on."""
    p = json.loads(procs.run(["bpftool", "prog", "show", "id", str(prog), "-j"]))
    return p.get("run_time_ns", 0), p.get("run_cnt", 0)


def in_traffic(bench, server_kind, program):
    """Mean ns of a run of `program` while the generator loops on one core, and how many runs that is of."""
    core = sorted(os.sched_getaffinity(0))[:1]
    pass_object = None if server_kind == "weir" else f"{bench.tools}/load/pass.bpf.o"
    with netns.veth_pair(1, pass_object) as (server_ns, client_ns):
        with servers.start(bench, server_kind, addr=netns.SERVER_IP, netns=server_ns, interface=netns.SERVER_DEV,
                           attach="native", workers=1, connections=bench.connections * 6 // 5 + 512, cpus=core,
                           paths=(xdp.PATH,)), bpf_stats():
            prog = program_id(server_ns, netns.SERVER_DEV, program)
            before = run_time(prog)
            xdp.generate(bench, client_ns, core, 2)
            after = run_time(prog)
    runs = after[1] - before[1]
    return (after[0] - before[0]) / max(runs, 1), runs


def many_prefixes():
    half = range((MANY - 1) // 2 + 1)
    hosts = [f"http://h{n}.example:{servers.PORT}/" for n in half]
    texts = (hosts + [f"http://*:{servers.PORT}/app{n}/" for n in half])[:MANY - 1]
    return ", ".join(f'"{text}"' for text in texts)


def by_test_run(bench, **options):
    with netns.veth_pair(1) as (server_ns, _):
        with servers.start(bench, "weir", addr=netns.SERVER_IP, netns=server_ns, interface=netns.SERVER_DEV,
                           attach="native", paths=(xdp.PATH,), **options):
            return json.loads(procs.run([f"{bench.tools}/bpf/ns", netns.SERVER_DEV, netns.SERVER_IP, str(servers.PORT),
                                         xdp.PATH, MISS, "weir_xdp"], server_ns, 60))


def run(bench, key):
    rows = {
        "traffic": Row(key + "a", "one hit, mean in traffic (bpf_stats)", "ns", ("abs", 300), True),
        "hit": Row(key + "b", "one hit, test run", "ns", ("abs", 300), True),
        "miss": Row(key + "c", "one miss, test run", "ns", None, True),
        "pass": Row(key + "d", "one packet passed, test run", "ns", None, True),
        "route": Row(key + "e", f"route among {MANY:,} prefixes, test run", "ns", ("abs", 100), True),
    }
    bench.rows += rows.values()
    if "weir" not in bench.servers:
        bench.errors.append(f"{key}: measures Weir only")
        return
    with bench.guard(f"{key}a"):
        floor, _ = in_traffic(bench, "nginx", "bench_pass")
        ns, runs = in_traffic(bench, "weir", "weir_xdp")
        rows["traffic"].add("weir", ns)
        rows["traffic"].notes.append(f"{runs:,} runs, nearly all of them hits; a program that does nothing "
                                     f"takes {floor:.0f} ns by the same clock, which is included")
    for _ in range(bench.rounds):
        with bench.guard(f"{key}, test run"):
            r = by_test_run(bench)
            many = by_test_run(bench, conf="many.conf", values={"PREFIXES": many_prefixes()})
            rows["route"].add("weir", max(many["hit"]["median"] - r["hit"]["median"], 0))
            rows["route"].notes.append(f"median of a hit {many['hit']['median']} ns, less {r['hit']['median']} ns with "
                                       "one pool that has everything")
            for name in ("hit", "miss", "pass"):
                rows[name].add("weir", max(r[name]["median"] - r["empty"]["median"], 0))
                repeat = f"; mean of a million repeats {r['pass_repeat']} ns, empty {r['empty_repeat']} ns"
                rows[name].notes.append(
                    f"median of {r[name]['samples']} single runs {r[name]['median']} ns (p10 {r[name]['p10']}, p90 "
                    f"{r[name]['p90']}) less {r['empty']['median']} ns for an empty program"
                    + (repeat if name == "pass" else ""))
