#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""`make bench`: Weir beside its peers in one run, one table. See bench/README.md.

Everything it starts or makes (processes, namespaces, files) is its own and goes away with it."""
import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import netns, procs, progress, report
from harness.servers import NAMES
from scenarios import curves, memory, nanoseconds, proxy, wrk, xdp

SCENARIOS = {**dict.fromkeys(wrk.SCENARIOS, wrk.run), "4": xdp.run, "5": nanoseconds.run, "6": memory.run,
             **dict.fromkeys(proxy.SCENARIOS, proxy.run),
             "curves": curves.run}
SMALL_BYTES = 100
WORK = "/var/tmp"


class Bench:
    """What every scenario needs: paths, settings, and where results go."""

    def __init__(self, args, directory):
        self.here = os.path.dirname(os.path.abspath(__file__))
        self.rounds, self.seconds, self.connections = args.rounds, args.seconds, args.connections
        self.idle, self.threads, self.timestamps = args.idle, args.threads, args.timestamps
        self.weir = os.path.join(args.build, "weir")
        self.tools = os.path.join(args.build, "bench")
        self.servers = args.servers
        self.nofile = procs.raise_nofile()
        self.dir = directory
        self.root_a, self.root_b = f"{directory}/root_a", f"{directory}/root_b"
        self.rows, self.errors = [], []
        self.results = os.path.join(self.here, "results") if args.results else directory
        self.progress = progress.Bar(len(args.only))

    def say(self, text):
        self.progress.clear()
        print(text, flush=True)
        self.progress.draw()

    @contextlib.contextmanager
    def guard(self, what):
        """A server or a tool that fails costs its own numbers only."""
        try:
            yield
        except (procs.BenchError, OSError, ValueError, KeyError) as e:
            self.errors.append(f"{what}: {e}")
            self.say(f"  {what}: {e}")


def install(bench):
    """nginx and wrk; a fresh nginx must not start by itself."""
    missing = [tool for tool in ("nginx", "wrk") if not shutil.which(tool)]
    if not missing:
        return
    bench.say(f"installing {' '.join(missing)}")
    policy = "/usr/sbin/policy-rc.d"
    is_ours = not os.path.exists(policy)
    if is_ours:
        with open(policy, "w") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-q", *missing], check=True, env=env, timeout=600,
                       stdout=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as e:
        sys.exit(f"bench: cannot install {' '.join(missing)} ({e}). Without a network, install the packages by hand; "
                 "after a long time, run apt-get update first.")
    finally:
        if is_ours:
            os.unlink(policy)


def make_roots(bench):
    """The same small file where every server looks for it, readable by any account."""
    for path in (f"{bench.root_a}/a/small.txt", f"{bench.root_b}/small.txt", f"{bench.root_b}/b/small.txt"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write("".join(chr(ord("a") + i % 26) for i in range(SMALL_BYTES - 1)) + "\n")
    os.makedirs(f"{bench.dir}/tmp")
    for d, _, files in os.walk(bench.dir):
        for f in files:
            os.chmod(os.path.join(d, f), 0o644)
        os.chmod(d, 0o755)


def remove_leftovers():
    """Of runs that were killed: their processes died with them, their namespaces and files are still there."""
    netns.remove_leftovers()
    for name in os.listdir(WORK):
        m = re.fullmatch(r"weir-bench-(\d+)-\w+", name)
        if m and not os.path.exists(f"/proc/{m.group(1)}"):
            shutil.rmtree(os.path.join(WORK, name), ignore_errors=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", default="", help=f"scenarios: {','.join(SCENARIOS)}")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=3, help="of each measurement")
    p.add_argument("--servers", default=",".join(NAMES), help="of: %(default)s")
    p.add_argument("--threads", type=int, default=2, help="of a Weir worker; nginx has 2 processes")
    p.add_argument("--connections", type=int, default=1024, help="of the XDP generator")
    p.add_argument("--timestamps", action="store_true", help="XDP generator uses TCP timestamps")
    p.add_argument("--idle", type=int, default=100000, help="idle connections of scenario 6")
    p.add_argument("--build", default="build")
    p.add_argument("--results", default=None, help="default: bench/results/latest.md; partial runs only print")
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    args.only = [x for x in args.only.replace(",", " ").split() if x] or list(SCENARIOS)
    args.servers = args.servers.replace(",", " ").split()
    if not set(args.only) <= set(SCENARIOS) or not set(args.servers) <= set(NAMES):
        p.error(f"scenarios are {', '.join(SCENARIOS)}; servers are {', '.join(NAMES)}")
    if args.rounds < 1 or args.seconds < 1:
        p.error("at least one round of one second")
    if not args.results and args.only == list(SCENARIOS):
        args.results = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "latest.md")
    return args


def main():
    args = arguments()
    if os.geteuid():
        sys.exit("bench: needs root, for namespaces, XDP and unprivileged servers. Try: sudo make bench")
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *_: sys.exit(130))  # so that everything below is undone
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also when started in the background
    remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=f"weir-bench-{os.getpid()}-", dir=WORK) as directory:
        bench = Bench(args, directory)
        install(bench)
        make_roots(bench)
        if "weir" in bench.servers and not os.access(bench.weir, os.X_OK):
            bench.errors.append(f"Weir: there is no {bench.weir}; run make first")
            bench.servers.remove("weir")
        elif "weir" in bench.servers:
            bench.weir = shutil.copy(bench.weir, directory)  # a build may go on meanwhile
        about = report.machine()
        try:
            for key in args.only:
                bench.say(f"scenario {key}")
                SCENARIOS[key](bench, key)
                bench.progress.step()
        except KeyboardInterrupt:
            bench.errors.append("interrupted: what follows is not complete")
            args.results = None
        bench.progress.clear()
        text = report.markdown(bench.rows, bench.errors, about, bench.rounds, bench.seconds)
    print("\n" + text)
    if args.results:
        os.makedirs(os.path.dirname(args.results), exist_ok=True)
        with open(args.results, "w") as f:
            f.write(text)
    return 1 if bench.errors else 0


if __name__ == "__main__":
    sys.exit(main())
