# SPDX-License-Identifier: GPL-2.0
"""New files: by size, by time, by signal, by command, after logrotate; and over the death of the
supervisor. Under load no line is lost and none comes twice."""
import os
import signal
import time

from harness.pool_client import wrong
from harness.servers import wait_for
from instance import PROGRAM
from log_files import HIT, MISS


def under_load(it, act):
    """The lines of requests while something happens, and how many requests there were."""
    with it.load() as hits, it.load() as misses:
        hits.open(5).go(HIT, think_ms=1)
        misses.open(5).go(MISS, think_ms=1)
        wait_for("requests are logged", lambda: len(it.lines()) > 200)
        act()
        before = len(it.lines())
        wait_for("and more", lambda: len(it.lines()) > before + 200)
        counts = [load.halt() for load in (hits, misses)]
    assert not any(wrong(c) for c in counts), counts
    return sum(c["ok"] for c in counts)


def check(it, requests):
    wait_for("every line is there", lambda: len(it.lines()) >= requests)
    lines = sum(it.statuses().values())
    assert lines == requests, f"{lines} lines of {requests} requests"
    assert it.weir.stats()["log"]["lost"] == 0


def test_rotation_by_command_and_signal_loses_no_line(logs):
    it = logs()

    def act():
        it.weir.command("log", "rotate")
        wait_for("a new file", lambda: len(it.files()) == 2)
        it.weir.process.send_signal(signal.SIGUSR1)
        wait_for("another one", lambda: len(it.files()) == 3)
    check(it, under_load(it, act))
    assert len(it.files("error.log")) == 3


def test_after_logrotate_has_renamed_the_file(logs):
    it = logs("log_keep = 1")

    def act():
        (it.folder / "access.log").rename(it.folder / "access.log.9")
        it.weir.process.send_signal(signal.SIGUSR1)
        wait_for("the file is there again", (it.folder / "access.log").exists)
    check(it, under_load(it, act))
    assert [path.name for path in it.files()] == ["access.log.9", "access.log"]


def test_rotation_by_size_keeps_so_many(logs):
    it = logs("log_rotate_size = 8k\nlog_keep = 2")
    with it.load() as load:
        load.open(5).go(HIT, think_ms=1)
        wait_for("files are rotated", lambda: len(it.files()) == 3)
        inode = it.files()[0].stat().st_ino
        wait_for("and dropped", lambda: it.files()[0].stat().st_ino != inode)
        load.halt()
    assert [path.name for path in it.files()] == ["access.log.2", "access.log.1", "access.log"]


def test_rotation_at_the_turn_of_a_period(logs):
    """The clock is that of the file: its last line is of yesterday."""
    def before(it):
        path = it.folder / "access.log"
        path.write_text("# a line of yesterday\n")
        os.utime(path, (time.time() - 86400,) * 2)
    it = logs("log_rotate_time = daily", before=before)
    wait_for("yesterday's file is put away", lambda: len(it.files()) == 2)
    assert (it.folder / "access.log.1").read_text() == "# a line of yesterday\n"
    it.get(MISS)
    it.wait_lines(1)
    assert not (it.folder / "access.log.2").exists()


def test_w3c_directives_stand_in_each_file(logs):
    it = logs("log_format = w3c")
    it.get(MISS)
    it.wait_lines(1)
    it.weir.command("log", "rotate")
    it.get(MISS)
    it.wait_lines(2)
    assert all("#Fields: date time" in path.read_text() for path in it.files())


def test_weir_log_prints_the_end_and_follows(logs):
    it = logs()
    for n in range(12):
        it.get(f"{MISS}?{n}")
    it.wait_lines(12)
    last = it.weir.command("log").stdout.splitlines()
    assert len(last) == 10 and "?11 " in last[-1]
    assert len(it.weir.command("log", "--limit", "3").stdout.splitlines()) == 3
    with open(it.folder / "followed", "wb") as out:
        follower = it.weir.netns.popen(str(PROGRAM), "log", "-f", "--control", str(it.weir.control), stdout=out)
    try:
        followed = it.folder / "followed"
        wait_for("it has begun", lambda: "?11 " in followed.read_text())
        it.weir.command("log", "rotate")
        it.get(f"{MISS}?after")
        wait_for("it follows into the next file", lambda: "?after " in followed.read_text())
    finally:
        follower.kill()
        follower.wait()


def test_reload_and_killed_supervisor_lose_no_line_and_repeat_none(logs, weir):
    it = logs()

    def act():
        pid = it.wait_logger()
        loaded = it.loaded_ms()
        it.weir.process.send_signal(signal.SIGHUP)
        wait_for("it is reloaded", lambda: it.loaded_ms() not in (0, loaded))
        pid = it.wait_logger(other_than=pid)
        os.kill(it.weir.pid, signal.SIGKILL)
        it.weir.process.wait()
        lines = len(it.lines())
        wait_for("workers' requests are logged without a supervisor", lambda: len(it.lines()) > lines + 100)
        it.weir = weir(again=it.weir)
        it.wait_logger(other_than=pid)
        wait_for("one process writes", lambda: len(it.loggers()) == 1)
    check(it, under_load(it, act))
