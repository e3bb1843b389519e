# SPDX-License-Identifier: GPL-2.0
"""Whatever ends Weir, nothing of it stays; the `weir` fixture looks for programs, pins, filters, sockets."""
import os
import pathlib
import signal

import pytest

from harness.servers import wait_for
from instance import attached


def ask(w, times=3):
    for _ in range(times):
        w.curl("http://127.0.0.1:8080/")


def listens(netns):
    return "8080" in netns.sh("ss", "-Hltn")


def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_stop_leaves_nothing(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    ask(w)
    assert w.programs and attached(w.netns), "the test would not see anything that is left"
    w.stop()
    wait_for("nothing is left", lambda: not w.left())
    assert not listens(w.netns)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_nothing(weir, site, number):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    ask(w)
    w.kill(number)
    assert w.process.returncode == 0
    wait_for("nothing is left", lambda: not w.left())


def test_start_after_kill_cleans_up(weir, site):
    dead = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    ask(dead)
    dead.remember_programs()
    dead.kill_processes()  # with the supervisor alone workers would serve on, see below
    wait_for("all processes of weir have ended", lambda: not dead.processes())
    assert not listens(dead.netns)
    w = weir(again=dead)
    ask(w)
    assert w.stat("kernel.hits") == 2
    w.stop()
    wait_for("nothing of both is left", lambda: not dead.left() and not w.left())


def test_start_after_kill_of_the_supervisor_takes_over(weir, site):
    killed = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    connection = killed.connect()
    assert killed.get(connection, "/small.txt")[0] == 200
    killed.process.kill()
    killed.process.wait()
    assert killed.get(connection, "/small.txt")[0] == 200, "XDP answers on"
    assert killed.get(connection, "/huge.bin")[0] == 200, "and so does the worker"
    w = weir(again=killed)
    assert "taking over from an earlier supervisor; pools that go on: default;" in w.log
    assert w.get(connection, "/small.txt")[0] == 200, "on the same connection"
    assert w.get(connection, "/huge.bin")[0] == 200
    w.stop()
    wait_for("nothing of both is left", lambda: not killed.left() and not w.left())


def test_start_after_kill_with_another_configuration_replaces(weir, site):
    killed = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    connection = killed.connect()
    assert killed.get(connection, "/huge.bin")[0] == 200
    killed.process.kill()
    killed.process.wait()
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080", "--threads", "7", again=killed)
    assert "replaced: 1 pool slot" in w.log
    assert w.get(connection, "/huge.bin")[0] == 200, "the connection went to the new worker"
    w.stop()
    wait_for("nothing of both is left", lambda: not killed.left() and not w.left())


def test_stop_after_kill_of_the_supervisor_leaves_nothing(weir, site):
    killed = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    ask(killed)
    killed.remember_programs()
    killed.process.kill()
    killed.process.wait()
    assert killed.processes(), "keepers and workers go on"
    assert "its workers have been ended" in killed.command("stop").stdout
    wait_for("nothing is left", lambda: not killed.processes() and not killed.left())


def test_killed_worker_is_replaced(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080", "--attach", "none")
    ask(w, 1)
    processes = w.processes()
    parents = {parent_of(pid) for pid in processes}
    workers = [pid for pid in processes if pid not in parents]
    assert workers and w.pid not in workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_for("a new worker answers", lambda: w.curl("http://127.0.0.1:8080/", check=False).returncode == 0)


def test_many_starts_and_stops(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    for _ in range(3):
        w.stop()
        w = weir(again=w)
        ask(w, 2)
        assert w.stat("kernel.hits") == 1
