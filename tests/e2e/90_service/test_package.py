# SPDX-License-Identifier: GPL-2.0
"""The Debian package, in a copy-on-write view of this machine: built, installed, started, reloaded, upgraded under
load, removed, and nothing left."""
import os
import pathlib
import re
import subprocess
import threading

import pytest

from harness.servers import wait_for
from instance import PORT, TREE, WAIT_SECONDS, run

BUILD = TREE / os.environ.get("BUILD", "build")


class Machine:
    """The file system of this machine with every change kept aside, and a network of its own. The mounts are private
    to a process that lives as long as this object."""

    def __init__(self, netns, folder):
        self.netns, self.folder = netns, folder
        self.root, self.up = folder / "root", folder / "disk/up"
        script = f"""set -e
mount --make-rprivate /
mkdir -p {folder}/disk {folder}/root; mount -t tmpfs disk {folder}/disk; mkdir {folder}/disk/up {folder}/disk/work
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/disk/up,workdir={folder}/disk/work {folder}/root
mount --bind /proc {folder}/root/proc
mount --rbind /dev {folder}/root/dev
mount -t sysfs sysfs {folder}/root/sys
mount --rbind /sys/fs/cgroup {folder}/root/sys/fs/cgroup
mount -t bpf bpf {folder}/root/sys/fs/bpf
mount -t tmpfs run {folder}/root/run
echo ready; read end"""
        self.holder = netns.popen("unshare", "--mount", "--propagation", "private", "bash", "-c", script,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"

    def argv(self, *words):
        return ["nsenter", f"--target={self.holder.pid}", "--mount", "--net", f"--root=/proc/{self.holder.pid}/root",
                "chroot", str(self.root), *map(str, words)]

    def run(self, *words, check=True):
        return run(*self.argv(*words), check=check, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))

    def path(self, name):
        return pathlib.Path(f"/proc/{self.holder.pid}/root{self.root}{name}")

    def changed(self):
        """Every path that was made or changed and still is there, but for the package database and logs."""
        up = pathlib.Path(f"/proc/{self.holder.pid}/root{self.up}")
        names = ["/" + str(p.relative_to(up)) for p in up.rglob("*") if not p.is_dir() or p.is_symlink()]
        return [n for n in names if not re.match(r"/var/(lib/dpkg|log|cache)/|/etc/ld.so.cache", n)]

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(WAIT_SECONDS)


@pytest.fixture
def machine(netns, tmp_path):
    m = Machine(netns, tmp_path)
    yield m
    m.close()


def next_version(package, folder):
    """The same package with a higher version, also in the program."""
    run("dpkg-deb", "-R", package, folder)
    version = re.search(r"^Version: (.*)$", (folder / "DEBIAN/control").read_text(), re.M).group(1)
    new = version[:-1] + ("8" if version[-1] != "8" else "9")
    control = folder / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {version}", f"Version: {new}"))
    program = folder / "usr/sbin/weir"
    pattern = rb"(?<![_.\d])" + re.escape(version).encode() + rb"(?![.\d])"
    program.write_bytes(re.sub(pattern, new.encode(), program.read_bytes()))
    (folder / "DEBIAN/md5sums").unlink(missing_ok=True)
    run("dpkg-deb", "-b", folder, folder.parent / "next.deb")
    return folder.parent / "next.deb", version, new


class Load(threading.Thread):
    def __init__(self, netns):
        super().__init__()
        self.netns, self.requests, self.errors, self.is_over = netns, 0, [], False

    def run(self):
        with self.netns.connect("127.0.0.1", PORT, WAIT_SECONDS) as s:
            while not self.is_over:
                target = b"/" if self.requests % 3 else b"/?miss=%d" % self.requests
                s.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
                got = s.recv(65536)
                if not got.startswith(b"HTTP/1.1 200 ") or not got.endswith(b"hello\n"):
                    self.errors.append(got[:200] or "closed")
                    return
                self.requests += 1


@pytest.mark.alone
def test_the_package_lives_its_life_and_leaves_nothing(machine, tmp_path):
    built = run("make", "-s", "-C", TREE, "deb", f"BUILD={BUILD}", timeout=130).stdout.split()
    package = next(TREE / path for path in built if "dbgsym" not in path)
    newer, version, new = next_version(package, tmp_path / "next")

    before = machine.changed()
    machine.path("/tmp").mkdir(exist_ok=True)
    for source, name in ((package, "/tmp/weir.deb"), (newer, "/tmp/next.deb")):
        machine.path(name).write_bytes(pathlib.Path(source).read_bytes())
    machine.run("dpkg", "-i", "/tmp/weir.deb")
    for name in ("/usr/share/man/man8/weir.8.gz", "/usr/share/bash-completion/completions/weir",
                 "/lib/systemd/system/weir.service", "/etc/weir/weir.conf"):
        assert machine.path(name).exists(), name

    site = machine.path("/srv/weir-test")
    site.mkdir(parents=True)
    (site / "index.html").write_text("hello\n")
    conf = machine.path("/etc/weir/weir.conf")
    conf.write_text(conf.read_text().replace('"*:80"', f'"127.0.0.1:{PORT}"').replace(":80/", f":{PORT}/")
                    .replace("/var/www/html", "/srv/weir-test"))
    machine.run("/usr/sbin/weir", "check")
    log = open(tmp_path / "log", "wb")
    server = subprocess.Popen(machine.argv("/usr/sbin/weir", "run"), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for("the installed program serves",
                 lambda: machine.run("/usr/sbin/weir", "status", check=False).returncode == 0)
        load = Load(machine.netns)
        load.start()
        wait_for("the load runs", lambda: load.requests > 300 or load.errors)
        machine.run("dpkg", "-i", "/tmp/next.deb")
        assert f"weir {new}" in machine.run("/usr/sbin/weir", "version").stdout
        assert '"attached": true' in machine.run("/usr/sbin/weir", "status", "--json").stdout
        assert f'"version": "{new}"' in machine.run("/usr/sbin/weir", "status", "--json").stdout
        since = load.requests
        wait_for("the load goes on", lambda: load.requests > since + 300 or load.errors)
        load.is_over = True
        load.join()
        assert not load.errors and server.poll() is None
        machine.run("dpkg", "-P", "weir")  # removal ends the instance
        assert server.wait(WAIT_SECONDS) == 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(WAIT_SECONDS)
        log.close()
        print((tmp_path / "log").read_text())

    machine.run("rm", "-rf", "/srv/weir-test", "/tmp/weir.deb", "/tmp/next.deb")
    left = [name for name in machine.changed() if name not in before]
    assert not [name for name in left if "weir" in name], left
    assert not list(machine.path("/run").glob("weir*")) and not list(machine.path("/sys/fs/bpf").glob("weir*"))
