# SPDX-License-Identifier: GPL-2.0
"""Scenarios 7 to 10: Weir and nginx as proxies before the same origin (an nginx of one process on loopback).

7   cache off: every request goes to the origin
8   cached small answers: Weir's come from the kernel, nginx's from proxy_cache on a memory disk
9   hit ratio with a working set twice the cache, Zipf's law
10  large cached objects: from Weir's worker memory (kernel cache off), from nginx's proxy_cache with sendfile"""
import contextlib
import os
import shutil
import signal
import subprocess

from harness import netns, procs, servers
from harness.report import Row
from scenarios.wrk import SMALL, wrk

UPSTREAM = "127.0.0.1:18081"
OBJECTS, OBJECT_BYTES = 2000, 32 * 1024
BUDGET = OBJECTS * OBJECT_BYTES // 2
ZIPF = ["-s", "@HERE@/compare/zipf.lua"]

# key -> title, unit, target, wrk's arguments, path, cache, kernel cache
SCENARIOS = {
    "7": ("proxy, cache off", "requests/s", (">=", 0.9), [], SMALL, "off", "off"),
    "8": ("proxy, small answers cached", "requests/s", (">=", 3), [], SMALL, "on", "on"),
    "9": ("hit ratio, Zipf, working set twice the cache", "percent", (">=", 1), ZIPF, "", "on", "off"),
    "10a": ("proxy, 100 kB cached", "requests/s", (">=", 1), ["-c16"], "/l/100k.bin", "on", "off"),
    "10b": ("proxy, 10 MB cached", "requests/s", (">=", 1), ["-c8"], "/l/10m.bin", "on", "off"),
}


def make_objects(bench):
    """Once a run: what the origin has beside the small file."""
    if os.path.exists(f"{bench.root_a}/z"):
        return
    os.makedirs(f"{bench.root_a}/z")
    os.makedirs(f"{bench.root_a}/l")
    block = os.urandom(OBJECT_BYTES)
    for n in range(1, OBJECTS + 1):
        with open(f"{bench.root_a}/z/{n}.bin", "wb") as f:
            f.write(b"%08d" % n + block[8:])
    for name, size in (("100k", 100_000), ("10m", 10_000_000)):
        with open(f"{bench.root_a}/l/{name}.bin", "wb") as f:
            f.write((block * (size // OBJECT_BYTES + 1))[:size])


@contextlib.contextmanager
def origin(bench, ns, access_log="off"):
    conf, log = f"{bench.dir}/upstream.conf", f"{bench.dir}/upstream.log"
    servers.fill(f"{bench.here}/compare/upstream.nginx.conf", conf, {
        "DIR": bench.dir, "UPSTREAM": UPSTREAM, "ROOT_A": bench.root_a, "ACCESS_LOG": access_log})
    proc = procs.spawn(["nginx", "-c", conf, "-p", bench.dir], ns, None, log)
    try:
        procs.wait_for(lambda: servers.fetch(ns, "127.0.0.1", SMALL, port=18081).startswith(b"HTTP/1.1 200"), 10,
                       f"the origin does not answer; {servers.tail(log)}")
        yield
    finally:
        procs.stop(proc, signal.SIGTERM)


@contextlib.contextmanager
def memory_disk(bench):
    path = f"{bench.dir}/shm"
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "bench", path], check=True)
    os.makedirs(f"{path}/tmp")
    os.chmod(path, 0o777)
    os.chmod(f"{path}/tmp", 0o777)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)
        shutil.rmtree(path)


def start(bench, name, ns, cache, kernel_cache, disk, path):
    values = {"UPSTREAM": UPSTREAM, "CACHE_DIR": disk}
    paths = (path or "/z/1.bin",)
    if name == "weir":
        values.update(CACHE=cache, KERNEL_CACHE=kernel_cache, CACHE_SIZE=f"{BUDGET // 1024}k" if not path else "256M")
        return servers.weir(bench, name, netns=ns, conf="proxy.conf", paths=paths, values=values)
    values.update(CACHE_ZONE="off" if cache == "off" else "small", CACHE_SIZE=f"{BUDGET // 1024}k" if not path else "256m")
    return servers.nginx(bench, name, netns=ns, paths=paths, conf="proxy.nginx.conf", values=values)


def lines(path):
    with open(path, "rb") as f:
        return sum(1 for _ in f)


def run(bench, key):
    title, unit, target, args, path, cache, kernel_cache = SCENARIOS[key]
    row = Row(key, title, unit, target)
    bench.rows.append(row)
    make_objects(bench)
    args = [a.replace("@HERE@", bench.here) for a in args]
    log = f"{bench.dir}/origin.access"
    for n in range(bench.rounds):
        for name in [s for s in bench.servers if s != "nginx-nosendfile"]:
            with bench.guard(f"{key}, {name}"), netns.namespace("l") as ns, memory_disk(bench) as disk, \
                    origin(bench, ns, log if not path else "off"), \
                    start(bench, name, ns, cache, kernel_cache, disk, path) as server:
                if not path:
                    wrk(bench, ns, server.url("/"), args)  # fills the cache
                    open(log, "w").close()
                rate, requests, errors = wrk(bench, ns, server.url(path or "/"), args)
                value = rate if path else 100 * (1 - lines(log) / requests)
                row.add(name, value)
                bench.say(f"  {key} round {n + 1} {name}: {value:,.1f} {unit}" + ("" if path else f", {rate:,.0f}/s"))
                if errors:
                    row.notes.append(f"{servers.NAMES[name]}: socket errors: {errors}")
