# SPDX-License-Identifier: GPL-2.0
"""One run of Weir, a site for it to serve, and what is left of it afterwards."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import uuid

from harness.servers import wait_for

TREE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = TREE / os.environ.get("BUILD", "build") / "weir"
PINS = pathlib.Path("/sys/fs/bpf/weir")
WAIT_SECONDS = 20
PORT = 8080


def run(*command, check=True, **options):
    """subprocess.run() with text output; an error shows what the program said."""
    options.setdefault("timeout", 60)
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, **options)
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done


def program_name(number):
    """The name of a loaded BPF program, "" when there is none of that number."""
    done = run("bpftool", "-j", "prog", "show", "id", number, check=False)
    return json.loads(done.stdout).get("name", "") if done.returncode == 0 else ""


def attached(netns):
    """What of Weir is attached to the interfaces of a namespace: its programs, and clsact qdiscs."""
    found = []
    for row in json.loads(run(*netns.argv("bpftool", "-j", "net", "show")).stdout):
        for kind in ("xdp", "tc"):
            for item in row.get(kind, []):
                name = item.get("name") or program_name(item.get("id"))
                if name.startswith("weir_"):
                    found.append(f'{item["devname"]}: {kind} {name}')
    qdiscs = run(*netns.argv("tc", "qdisc", "show")).stdout.splitlines()
    return found + [line for line in qdiscs if "clsact" in line]


class Site:
    """A document root that workers of any account can read; write() changes a file."""

    def __init__(self, path):
        self.path, self.files = path, {}
        self.write("index.html", b"<!doctype html><title>Weir</title><p>The page at the root.\n")
        self.write("small.txt", b"a small file\n")
        self.write("other.txt", b"another small file\n")
        self.write("empty.txt", b"")
        self.write("dir/index.html", b"<p>the page of a folder\n")
        self.write("medium.txt", pattern(3000))
        self.write("large.txt", pattern(12000))
        self.write("huge.bin", pattern(300_000))  # for workers alone

    def write(self, name, content):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.files[name] = content


def pattern(size):
    """Bytes in which every hole, repetition or shift shows."""
    return b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]


class Weir:
    """One run of build/weir run in a namespace."""

    argv = (str(PROGRAM), "run")

    def __init__(self, folder, netns, options):
        self.netns, self.options, self.folder = netns, options, folder
        self.control = folder / f"{folder.name}.sock"  # names the instance, so be unique
        self.log_path = folder / "log"
        self.mark = str(uuid.uuid4())  # in the environment of every process of this run
        self.programs = set()
        self.process = None

    def start(self):
        words = [str(word) for word in self.options] + ["--control", str(self.control)]
        with open(self.log_path, "ab") as log:
            self.process = self.netns.popen(
                *self.argv, *words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=dict(os.environ, WEIR_TEST=self.mark))
        wait_for("weir answers on its control socket", self.is_ready)
        self.remember_programs()
        return self

    def is_ready(self):
        assert self.is_running, f"weir run ended with {self.process.returncode}:\n{self.log}"
        return self.command("status", check=False).returncode == 0

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def is_running(self):
        return self.process.poll() is None

    def command(self, *words, check=True):
        """weir WORDS... --control SOCKET"""
        return run(PROGRAM, *words, "--control", self.control, check=check)

    def stats(self):
        return json.loads(self.command("stats", "--json").stdout)

    def stat(self, key):
        """stat("kernel.hits")"""
        value = self.stats()
        for word in key.split("."):
            value = value[word]
        return value

    def wait_stat(self, key, least):
        """Waits until a counter is at least `least`."""
        wait_for(f"{key} >= {least}", lambda: self.stat(key) >= least)

    def curl(self, *words, check=True):
        return run(*self.netns.argv("curl", "-sS", "--noproxy", "*", "--max-time", str(WAIT_SECONDS), *words),
                   check=check)

    def connect(self, address="127.0.0.1", port=PORT, netns=None):
        """A TCP connection from a namespace (default: Weir's own) as http.client.HTTPConnection."""
        connection = http.client.HTTPConnection(address, port, timeout=WAIT_SECONDS)
        connection.sock = (netns or self.netns).connect(address, port, WAIT_SECONDS)
        return connection

    @staticmethod
    def get(connection, target):
        """One request as browsers send it (http.client alone asks for "identity", no plain case). (status, body)"""
        connection.request("GET", target, headers={"Accept-Encoding": "gzip, deflate, br"})
        response = connection.getresponse()
        return response.status, response.read()

    def processes(self):
        """Process ids of this run: supervisor, keepers, workers."""
        mark, found = f"WEIR_TEST={self.mark}".encode(), []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    def remember_programs(self):
        """Notes the BPF programs that this run holds, to look for them when it is over."""
        for pid in self.processes():
            for path in pathlib.Path(f"/proc/{pid}/fdinfo").glob("*"):
                with contextlib.suppress(OSError):
                    self.programs.update(int(line.split()[1]) for line in path.read_text().splitlines()
                                         if line.startswith("prog_id:"))

    def stop(self):
        """Ends it as a user would, and expects a clean end."""
        self.remember_programs()
        self.command("stop")
        self.wait_end()
        assert self.process.returncode == 0, f"weir run ended with {self.process.returncode}:\n{self.log}"

    def kill(self, number=signal.SIGKILL):
        self.remember_programs()
        self.process.send_signal(number)
        self.wait_end()

    def wait_end(self):
        self.process.wait(WAIT_SECONDS)
        wait_for("all processes of weir have ended", lambda: not self.processes())

    def kill_processes(self):
        """Every process of this run at once: nobody is left to clean up."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def clear(self):
        """For a test that failed: leaves neither processes nor pins, whatever state they are in."""
        self.kill_processes()
        for path in self.pins():
            shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):  # other instances, or never made
            PINS.rmdir()

    def pins(self):
        return [path for path in PINS.glob("*") if self.folder.name in path.name]

    def left(self):
        """What there is of this run on the machine, as text for people."""
        found = [f"program {number} {program_name(number)}" for number in self.programs if program_name(number)]
        found += [str(path) for path in self.pins()]
        found += [str(path) for path in (self.control, pathlib.Path(f"{self.control}.exec")) if path.exists()]
        return found + attached(self.netns)
