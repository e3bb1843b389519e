# SPDX-License-Identifier: GPL-2.0
"""Under a service manager: sd_notify, the watchdog, sockets that were opened before, a new program file."""
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from harness.servers import wait_for
from instance import PORT, PROGRAM, WAIT_SECONDS, run


class Started:
    """A namespace whose programs start as a service manager would start them."""

    def __init__(self, netns, env=(), socket_fd=None, program=None):
        self.netns, self.env, self.socket_fd, self.program = netns, dict(env), socket_fd, program

    def __getattr__(self, name):
        return getattr(self.netns, name)

    def popen(self, *argv, **kw):
        if self.program:
            argv = (self.program, *argv[1:])
        kw["env"] = {**kw.get("env", os.environ), **self.env}
        if self.socket_fd is None:
            return self.netns.popen(*argv, **kw)
        kw["env"]["LISTEN_FDS"] = "1"
        script = f'exec 3<&{self.socket_fd}; LISTEN_PID=$$ exec "$@"'
        return self.netns.popen("bash", "-c", script, "start", *argv, pass_fds=[self.socket_fd], **kw)


class Notified:
    """The receiving end of sd_notify(3)."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(WAIT_SECONDS)

    def wait(self, word):
        """The next message that has this line."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            if word in lines:
                return lines


@pytest.fixture
def notified(tmp_path):
    n = Notified(tmp_path / "notify")
    yield n
    n.socket.close()


def test_the_manager_is_told_ready_alive_and_stopping(weir, netns, site, notified):
    started = Started(netns, {"NOTIFY_SOCKET": notified.path, "WATCHDOG_USEC": "4000000"})
    instance = weir("--root", site.path, "--listen", f"127.0.0.1:{PORT}", netns=started)
    ready = notified.wait("READY=1")
    assert f"MAINPID={instance.pid}" in ready
    assert any(line.startswith("STATUS=Serving 1 pools on 1 endpoints, XDP attached") for line in ready)
    notified.wait("WATCHDOG=1")
    notified.wait("WATCHDOG=1")
    instance.stop()
    notified.wait("STOPPING=1")


def listener(netns, is_shared=True):
    def make():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, is_shared)
        s.bind(("127.0.0.1", PORT))
        s.listen(64)
        return s
    return netns.call(make)


@pytest.mark.parametrize("attach", ["auto", "none"])
def test_an_activated_socket_loses_no_connection(weir, netns, site, attach):
    """Neither the one that waited before Weir ran, nor those that come while the manager's socket is in the group, nor
    those that come after a reload."""
    with listener(netns) as manager:
        early = netns.connect("127.0.0.1", PORT, WAIT_SECONDS)
        early.sendall(b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n")
        instance = weir("--root", site.path, "--listen", f"127.0.0.1:{PORT}", "--attach", attach,
                        netns=Started(netns, socket_fd=manager.fileno()))
        assert early.recv(4096).startswith(b"HTTP/1.1 200 ")
        early.close()
        for round_ in range(3):
            if round_:
                instance.command("reload")
            for _ in range(40):
                connection = instance.connect()
                assert instance.get(connection, "/small.txt") == (200, site.files["small.txt"])
                connection.close()


def test_an_activated_socket_that_cannot_be_shared_is_refused_with_the_remedy(netns, site, tmp_path):
    with listener(netns, is_shared=False) as manager:
        process = Started(netns, socket_fd=manager.fileno()).popen(
            str(PROGRAM), "run", "--root", str(site.path), "--listen", f"127.0.0.1:{PORT}", "--control",
            str(tmp_path / "refused.sock"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output, _ = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 1
        assert "ReusePort=yes" in output


class Load:
    """Keep-alive clients that count every request that was not answered with the right bytes."""

    def __init__(self, instance, target, body, clients=4):
        self.instance, self.target, self.body = instance, target, body
        self.requests, self.errors, self.is_over = 0, [], False
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(clients)]

    def run(self, number):
        connection = self.instance.connect()
        while not self.is_over:
            try:
                got = self.instance.get(connection, f"{self.target}?{number}" if number % 2 else self.target)
                if got != (200, self.body):
                    raise ValueError(f"got {got[0]}, {len(got[1])} bytes")
                self.requests += 1
            except (OSError, ValueError) as error:
                self.errors.append(repr(error))
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_for("the load runs", lambda: self.requests > 100 or self.errors)
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()


def test_an_upgrade_lets_the_new_program_take_over_under_load(weir, netns, site, tmp_path):
    program = tmp_path / "weir"
    shutil.copy(PROGRAM, program)
    tmp_path.chmod(0o755)
    instance = weir("--root", site.path, "--listen", f"127.0.0.1:{PORT}",
                    netns=Started(netns, program=str(program)))
    version = re.search(rb"Weir (\d+\.\d+\.\d+), instance", instance.log.encode()).group(1)
    new = version[:-1] + (b"8" if version[-1:] != b"8" else b"9")
    with Load(instance, "/small.txt", site.files["small.txt"]) as load:
        pattern = rb"(?<![_.\d])" + re.escape(version) + rb"(?![.\d])"  # not the symbol version LIBBPF_0.1.0
        patched = re.sub(pattern, new, program.read_bytes())
        (tmp_path / "new").write_bytes(patched)
        (tmp_path / "new").chmod(0o755)
        os.rename(tmp_path / "new", program)  # as dpkg does it
        said = run(program, "upgrade", "--control", instance.control).stdout
        assert f"version {new.decode()} runs in place of {version.decode()}" in said
        before = load.requests
        wait_for("the load goes on", lambda: load.requests > before + 1000 or load.errors)
    assert not load.errors
    assert instance.is_running


def test_an_upgrade_to_a_program_that_refuses_changes_nothing(weir, netns, site, tmp_path):
    program = tmp_path / "weir"
    shutil.copy(PROGRAM, program)
    tmp_path.chmod(0o755)
    instance = weir("--root", site.path, "--listen", f"127.0.0.1:{PORT}", netns=Started(netns, program=str(program)))
    (tmp_path / "new").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "new").chmod(0o755)
    os.rename(tmp_path / "new", program)
    done = run(PROGRAM, "upgrade", "--control", instance.control, check=False)
    assert done.returncode == 1 and "cannot take over" in done.stderr
    assert "does not accept the configuration" in instance.log
    assert instance.curl(f"http://127.0.0.1:{PORT}/small.txt").stdout.encode() == site.files["small.txt"]
