# SPDX-License-Identifier: GPL-2.0
"""Processes that the bench starts: each dies with the driver, and is ended by its own pid, never by name."""
import ctypes
import os
import resource
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
NOFILE_WANTED = 400000
libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """Something that a person must be told; ends the scenario, not the whole run."""


def raise_nofile():
    """As many open files as this machine lets us and our children have; returns how many that is."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, NOFILE_WANTED), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
        except (ValueError, OSError):
            continue
    return hard


def in_netns(netns, cmd):
    """nsenter, not `ip netns exec`: that one mounts another /sys, without bpffs."""
    return ["nsenter", f"--net=/run/netns/{netns}", *cmd] if netns else list(cmd)


def spawn(cmd, netns=None, cpus=None, log=None, **kw):
    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)

    out = open(log, "ab") if log else None
    try:
        return subprocess.Popen(in_netns(netns, cmd), preexec_fn=prepare, start_new_session=True,
                                stdin=kw.pop("stdin", subprocess.DEVNULL),
                                stdout=kw.pop("stdout", out), stderr=kw.pop("stderr", out), **kw)
    finally:
        if out:
            out.close()


def stop(p, sig=signal.SIGTERM, seconds=10):
    """Ends a process that spawn() started."""
    if p.poll() is None:
        p.send_signal(sig)
        try:
            p.wait(seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait(5)
    for stream in (p.stdin, p.stdout, p.stderr):
        if stream:
            stream.close()


def run(cmd, netns=None, seconds=60, ok=(0,), cpus=None):
    """Runs to the end and returns stdout; stderr goes into the error."""
    p = spawn(cmd, netns, cpus, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{cmd[0]} did not end within {seconds} s") from None
    finally:
        stop(p)
    if p.returncode not in ok:
        raise BenchError(f"{' '.join(map(str, cmd[:6]))}: status {p.returncode}: {(err or out).strip()[-500:]}")
    return out


def wait_for(question, seconds, what):
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def tree(pid):
    """pid and its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as f:
                    ppid = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(ppid, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def pss_bytes(pid):
    """Proportional set size of pid and its descendants."""
    total = 0
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total * 1024


def bpf_map_bytes(pid):
    """What the kernel charges for the BPF maps that pid and its descendants hold, each once."""
    seen = {}
    for one in tree(pid):
        try:
            fds = os.listdir(f"/proc/{one}/fdinfo")
        except OSError:
            continue
        for fd in fds:
            try:
                with open(f"/proc/{one}/fdinfo/{fd}", encoding="ascii") as f:
                    info = dict(line.split(":", 1) for line in f if ":" in line)
            except OSError:
                continue
            if "map_id" in info:
                seen[int(info["map_id"])] = int(info.get("memlock", 0))
    return sum(seen.values())
