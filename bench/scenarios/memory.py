# SPDX-License-Identifier: GPL-2.0
"""Scenario 6: memory that idle keep-alive connections cost the server. The client is the XDP generator, which has no
sockets, so all sockets that the kernel allocates are the server's. Each connection makes one request, stays idle
while memory is read, and makes another one, to prove that it was still there."""
import contextlib
import json
import math
import subprocess
import threading
import time

from harness import netns, procs, servers
from harness.report import Row

PATH = "/a/small.txt"
PORTS = 16384  # connections for one client address, see bench/load/gen.h
MIB = 1 << 20


def meminfo():
    with open("/proc/meminfo", encoding="ascii") as f:
        return {k: int(v.split()[0]) * 1024 for k, v in (line.split(":") for line in f)}


def read_phase(gen, seconds):
    """The generator's next line; it is bounded in time itself, this is the second fence."""
    timer = threading.Timer(seconds, gen.kill)
    timer.start()
    try:
        line = gen.stdout.readline()
    finally:
        timer.cancel()
    if not line:
        raise procs.BenchError(f"generator: {gen.stderr.read()[-500:]}")
    return json.loads(line)


@contextlib.contextmanager
def idle_clients(bench, client_ns, count):
    for i in range(1, math.ceil(count / PORTS)):
        first, last = netns.CLIENT_IP.rsplit(".", 1)
        procs.run(["ip", "-n", client_ns, "addr", "add", f"{first}.{int(last) + i}/24", "dev", netns.CLIENT_DEV])
    gen = procs.spawn([f"{bench.tools}/load/gen", "--dev", netns.CLIENT_DEV, "--server-ip", netns.SERVER_IP,
                       "--client-ip", netns.CLIENT_IP, "--port", str(servers.PORT), "--path", PATH,
                       "--expect", f"{bench.root_a}{PATH}", "--connections", str(count), "--idle"],
                      client_ns, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield gen
    finally:
        procs.stop(gen)


def one(bench, name, count, **options):
    pass_object = None if name == "weir" else f"{bench.tools}/load/pass.bpf.o"
    processes = max(2, math.ceil(count / (bench.nofile * 0.75)))
    with netns.veth_pair(1, pass_object) as (server_ns, client_ns):
        kw = {"addr": netns.SERVER_IP, "netns": server_ns, "interface": netns.SERVER_DEV, "attach": "native",
              "workers": processes, "connections": math.ceil(count / processes * 1.3), "paths": (PATH,), **options}
        time.sleep(2)  # the kernel frees what the server before this one had
        start = meminfo()
        with servers.start(bench, name, **kw) as server:
            time.sleep(0.5)
            before, pss = meminfo(), procs.pss_bytes(server.proc.pid)
            with idle_clients(bench, client_ns, count) as gen:
                phase = read_phase(gen, 200)
                if phase["verified"] != count or phase["dead"] or phase["bad"]:
                    raise procs.BenchError(f"only {phase['verified']:,} of {count:,} connections answered: {phase}")
                time.sleep(2)
                after, pss_after = meminfo(), procs.pss_bytes(server.proc.pid)
                reserved = procs.bpf_map_bytes(server.proc.pid)
                gen.stdin.close()
                gen.stdin = None
                again = read_phase(gen, 200)
    slab = after["Slab"] - before["Slab"]
    return {"processes": pss_after, "grown": pss_after - pss, "slab": slab, "maps": reserved,
            "total": pss_after + max(slab, 0) + reserved, "available": start["MemAvailable"] - after["MemAvailable"],
            "alive": again["verified"], "server_processes": processes}


def describe(name, r, count):
    mib = {k: r[k] / MIB for k in ("processes", "grown", "slab", "maps", "available")}
    return (f"{name}: processes {mib['processes']:.1f} MiB (grew by {mib['grown']:.1f}), "
            f"kernel slab {mib['slab']:.1f}, BPF maps reserved in full {mib['maps']:.1f}; {r['total'] / count:,.0f} bytes a connection, "
            f"{(r['grown'] + r['slab']) / count:,.0f} without what was there before the first; MemAvailable fell by "
            f"{mib['available']:.0f} MiB since before the start; {r['alive']:,} connections answered again")


def run(bench, key):
    count = bench.idle
    hit = Row(key, f"{count:,} idle connections, cached object", "MiB", ("<=", 1), True)
    lent = Row(key + "b", "the same, connections lent to workers", "MiB", None, True)
    bench.rows += [hit, lent]
    cases = [(hit, name, {}) for name in bench.servers]
    if "weir" in bench.servers:
        cases.append((lent, "weir", {"conf": "lent.conf"}))
    for row, name, options in cases:
        with bench.guard(f"{row.key}, {name}"):
            r = one(bench, name, count, **options)
            row.add(name, r["total"] / MIB)
            if row is hit and name != "weir":
                lent.add(name, r["total"] / MIB)
            row.notes.append(describe(servers.NAMES[name], r, count))
            if r["alive"] != count:
                row.notes.append(f"{servers.NAMES[name]}: LOST {count - r['alive']:,} connections while idle")
            bench.say(f"  {row.key} {name}: {r['total'] / MIB:.1f} MiB")
