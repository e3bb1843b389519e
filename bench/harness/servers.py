# SPDX-License-Identifier: GPL-2.0
"""The servers that are compared, behind one interface: a context manager that yields a Running server.
Only one runs at a time: Weir's programs on an interface would be in the way of the other's packets."""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import time

from . import procs

# name -> what to say in the table
NAMES = {
    "weir": "Weir",
    "nginx": "nginx",
    "nginx-nosendfile": "nginx, sendfile off",
}
PORT = 18080


class Running:
    def __init__(self, proc, addr, netns=None, control=None, weir=None):
        self.proc, self.addr, self.netns, self.control, self.weir = proc, addr, netns, control, weir

    def url(self, path):
        return f"http://{self.addr}:{PORT}{path}"

    def stats(self):
        """`weir stats --json`, {} for others."""
        if not self.control:
            return {}
        return json.loads(procs.run([self.weir, "stats", "--json", "--control", self.control], seconds=10))

    def hits(self):
        return self.stats().get("kernel", {}).get("hits")


def fetch(netns, addr, path, seconds=2, port=PORT):
    """One GET over a plain socket; the whole response, b"" when there is none. Linger 0: leaves no TIME_WAIT."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/run/netns/{netns}", os.O_RDONLY) if netns else None
    try:
        if other is not None:
            procs.libc.setns(other, 0)
        s = socket.socket()
    finally:
        if other is not None:
            procs.libc.setns(own, 0)
            os.close(other)
        os.close(own)
    with s:
        s.settimeout(seconds)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        data = b""
        try:
            s.connect((addr, port))
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: {addr}:{port}\r\nConnection: close\r\n\r\n".encode())
            while chunk := s.recv(65536):
                data += chunk
        except OSError:
            pass
        return data


def tail(path):
    with open(path, errors="replace") as f:
        return f.read()[-800:]


def wait_ready(proc, log, netns, addr, paths):
    def is_ready():
        if proc.poll() is not None:
            raise procs.BenchError(f"the server ended with {proc.returncode}: {tail(log)}")
        return fetch(netns, addr, paths[0]).startswith(b"HTTP/1.1 200 ")

    procs.wait_for(is_ready, 10, f"no 200 for {paths[0]}; {tail(log)}")
    for _ in range(3):  # whatever a server caches from, it has seen now
        for path in paths:
            if not fetch(netns, addr, path).startswith(b"HTTP/1.1 200 "):
                raise procs.BenchError(f"no 200 for {path}")
        time.sleep(0.1)


def fill(template, conf, values):
    """Writes `template` with each @NAME@ replaced to the file `conf`."""
    with open(template, encoding="utf-8") as f:
        text = f.read()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text)


@contextlib.contextmanager
def nginx(bench, name, addr="127.0.0.1", netns=None, cpus=None, workers=2, connections=2048, paths=("/a/small.txt",),
          conf="nginx.conf", values=None, **_):
    """`conf` is a template in compare/, `values` is for it."""
    template, conf, log = conf, f"{bench.dir}/{name}.conf", f"{bench.dir}/{name}.log"
    fill(f"{bench.here}/compare/{template}", conf, {**(values or {}),
        "WORKERS": workers, "CONNECTIONS": connections, "DIR": bench.dir, "LISTEN": f"{addr}:{PORT}",
        "ROOT_A": bench.root_a, "ROOT_B": bench.root_b, "SENDFILE": "off" if name == "nginx-nosendfile" else "on"})
    proc = procs.spawn(["nginx", "-c", conf, "-p", bench.dir], netns, cpus, log)
    try:
        wait_ready(proc, log, netns, addr, paths)
        yield Running(proc, addr, netns)
    finally:
        procs.stop(proc, signal.SIGTERM)


@contextlib.contextmanager
def weir(bench, name, addr="127.0.0.1", netns=None, cpus=None, workers=1, interface="lo", attach="auto",
         cached=True, conf=None, values=None, paths=("/a/small.txt",), **_):
    """With `conf`, a template in compare/ that `values` is for; else by options."""
    del name
    instance = f"weir-bench-{os.getpid()}"
    control, log = f"{bench.dir}/{instance}.sock", f"{bench.dir}/weir.log"
    cmd = [bench.weir, "run", "--attach", attach, "--interface", interface, "--control", control]
    if conf:
        fill(f"{bench.here}/compare/{conf}", f"{bench.dir}/weir.conf", {**(values or {}),
            "LISTEN": f"{addr}:{PORT}", "PORT": PORT, "ROOT_A": bench.root_a, "ROOT_B": bench.root_b,
            "SLOTS": workers, "THREADS": bench.threads})
        cmd += ["-c", f"{bench.dir}/weir.conf"]
    else:
        cmd += ["--root", bench.root_a, "--listen", f"{addr}:{PORT}", "--threads", str(bench.threads)]
    if not cached:
        cmd += ["--no-kernel-cache"]
    proc = procs.spawn(cmd, netns, cpus, log)
    try:
        wait_ready(proc, log, netns, addr, paths)
        if attach != "none" and "not attached" in tail(log):
            raise procs.BenchError(f"Weir runs without XDP: {tail(log)}")
        yield Running(proc, addr, netns, control, bench.weir)
    finally:
        procs.stop(proc, signal.SIGTERM)
        if os.path.exists(f"/sys/fs/bpf/weir/{instance}"):
            bench.errors.append(f"Weir left pins in /sys/fs/bpf/weir/{instance}")
            shutil.rmtree(f"/sys/fs/bpf/weir/{instance}", ignore_errors=True)


def start(bench, name, **kw):
    return (weir if name == "weir" else nginx)(bench, name, **kw)
