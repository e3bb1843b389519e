# SPDX-License-Identifier: GPL-2.0
"""The states of a pool: what starts and ends its workers, and what clients are told when there are none."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import subprocess
import sys
import tempfile
import threading

import pytest

from harness import servers
from harness.pool_client import wrong
from pooling import DEBUG, HIT, MISS, pooling

FULL = "http_503_verbosity = full"


def phrase(reason):
    return f"503 Service Unavailable ({reason})"


def refused_by_the_kernel_side(it, name, path, reason):
    """A new client gets the 503, counted under its reason; no packet of it goes up to a socket."""
    before = it.weir.stats()
    with it.load() as load:
        counts = load.open(5).go(path, count=1).wait()
    moved = servers.moved(before, it.weir.stats())
    assert counts["phrases"] == {phrase(reason): 5} and counts["retry_after"] == 5, counts
    assert not wrong(counts, "status_503"), counts
    assert moved[f"pools.{name}.refused_{reason}"] == 5, moved
    verdicts = moved.get("kernel.verdicts.refused", 0) + moved.get("kernel.verdicts.refused_tc", 0)
    assert verdicts == 5, moved
    for up in ("kernel.handovers", "kernel.verdicts.handover", "kernel.verdicts.tc_assigned",
               "kernel.verdicts.pass_kernel", f"pools.{name}.accepted", f"pools.{name}.requests"):
        assert up not in moved, f"{up}: {moved}"


@pytest.mark.parametrize("down, up, state", [("stop", "start", "stopped"), ("disable", "enable", "disabled")])
def test_stopped_pool_is_refused_by_the_kernel_side_until_it_starts(down, up, state):
    with pooling(debug=FULL, files=FULL, plain="") as it:
        it.warm()
        for name, path in (("debug", f"{DEBUG}/sleep/0"), ("files", HIT)):
            assert it.get(path)[0] == 200
            old = it.worker(name)
            it.do(down, name)
            it.wait_state(name, state)
            servers.wait_for("its worker is gone", lambda: not pathlib.Path(f"/proc/{old}").exists())
            refused_by_the_kernel_side(it, name, path, "Disabled")
            assert it.queue(name)["refusing"] == "Disabled"
            assert it.get(MISS)[0] == 200, "other pools go on"
            it.do(up, name)
            it.wait_worker(name, other_than=(old,))
            assert it.get(path)[0] == 200
            assert it.queue(name)["refusing"] == "-"


def test_stop_finishes_what_is_in_flight_and_refuses_the_rest():
    with pooling(debug=f"threads = 4\n{FULL}", plain="") as it:
        with it.load() as flight, it.load() as idle:
            idle.open(10).go(f"{DEBUG}/sleep/0", count=1, think_ms=50).wait()
            flight.open(4).go(f"{DEBUG}/sleep/1000", count=1)
            servers.wait_for("all threads are busy", lambda: it.stats("debug")["threads_busy"] == 4)
            it.do("stop", "debug")
            refused_by_the_kernel_side(it, "debug", f"{DEBUG}/sleep/0", "Disabled")
            counts = flight.wait()
            assert counts["ok"] == 4 and not wrong(counts), f"in flight: {counts}"
            it.wait_state("debug", "stopped")
            counts = idle.go(f"{DEBUG}/sleep/0", count=1).wait()
            assert counts["status_503"] == 10 and not wrong(counts, "status_503", "eof_idle"), f"idle: {counts}"


def test_disabled_pool_is_not_started_but_enabled():
    with pooling(debug="", plain="") as it:
        it.do("disable", "debug")
        it.wait_state("debug", "disabled")
        assert it.do("start", "debug", check=False).returncode != 0
        assert it.state("debug") == "disabled"
        it.do("enable", "debug")
        it.wait_state("debug", "started")
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


def test_commands_show_pools_and_say_no_to_unknown_ones():
    with pooling(debug="threads_min = 3", plain="") as it:
        for verb in ("start", "stop", "recycle", "enable", "disable", "show"):
            done = it.do(verb, "nosuch", check=False)
            assert done.returncode != 0 and "nosuch" in done.stderr, f"{verb}: {done}"
        shown = json.loads(it.weir.command("pool", "show", "debug", "--json").stdout)
        assert shown["settings"]["threads_min"]["value"] == "3" and shown["settings"]["threads_min"]["line"]
        assert shown["settings"]["queue_length"] == {"value": "1000", "line": 0}
        assert shown["pool"]["workers"][0]["worker_pid"] == it.worker("debug")
        assert set(json.loads(it.weir.command("pool", "list", "--json").stdout)["pools"]) == {"debug", "plain"}
        listed = it.weir.command("pool", "list").stdout
        assert "debug" in listed and str(it.worker("debug")) in listed


def test_rapid_fail_takes_a_pool_offline_until_it_is_started(tmp_path):
    said = tmp_path / "said"
    exe = tmp_path / "exe"
    exe.write_text(f'#!/bin/sh\necho "$@" >{said}.new && mv {said}.new {said}\n')
    exe.chmod(0o755)
    with pooling(debug=f'{FULL}\nrapid_fail_max_crashes = 5\nauto_shutdown_exe = "{exe}"', plain="") as it:
        for round_ in range(2):
            for n in range(5):
                assert it.state("debug") == "started", f"crash {n}"
                pid = it.crash("debug")
                if n < 4:
                    it.wait_worker("debug", other_than=(pid,))
            it.wait_state("debug", "offline")
            refused_by_the_kernel_side(it, "debug", f"{DEBUG}/sleep/0", "AppOffline")
            assert it.get(MISS)[0] == 200
            servers.wait_for("the command has run", said.exists)
            assert said.read_text().split() == ["debug"]
            said.unlink()
            it.do("start", "debug")
            it.wait_state("debug", "started")
            assert it.get(f"{DEBUG}/sleep/0")[0] == 200, round_
        assert it.weir.log.count("pool 'debug' is offline") == 2


def test_crashes_further_apart_than_the_interval_do_not_count_together():
    with pooling(debug="rapid_fail_interval = 300ms\nrapid_fail_max_crashes = 2", plain="") as it:
        for _ in range(4):
            pid = it.crash("debug")
            it.wait_worker("debug", other_than=(pid,))
            servers.wait_for("the interval is over", lambda: it.pool("debug")["workers"][0]["uptime_ms"] > 400)
        assert it.state("debug") == "started"


def test_rapid_fail_can_be_turned_off():
    with pooling(debug="rapid_fail_protection = off", plain="") as it:
        for _ in range(8):
            pid = it.crash("debug")
            it.wait_worker("debug", other_than=(pid,))
        assert it.state("debug") == "started"


def test_pool_on_demand_starts_with_its_first_requests():
    with pooling(debug="start_mode = on_demand", plain="") as it, it.load() as load:
        it.wait_state("debug", "waiting")
        assert it.worker("debug") == 0
        assert it.get(MISS)[0] == 200
        assert it.state("debug") == "waiting", "a request for another pool starts nothing"
        counts = load.open(20).go(f"{DEBUG}/sleep/10", count=1).wait()
        assert counts["ok"] == 20 and not wrong(counts), counts
        it.wait_state("debug", "started")
        assert it.worker("debug")
        it.queues_are_empty()


def test_idle_worker_rests_and_its_connections_stay():
    with pooling(debug="start_mode = on_demand\nidle_timeout = 500ms", plain="") as it, it.load() as load:
        load.open(10)
        for round_ in range(3):
            counts = load.go(f"{DEBUG}/sleep/0", count=1).wait()
            assert counts["ok"] == 10 and not wrong(counts), f"round {round_}: {counts}"
            assert counts["opened"] == (10 if round_ == 0 else 0), f"round {round_}: {counts}"
            it.wait_state("debug", "waiting")
            servers.wait_for("no worker", lambda: it.worker("debug") == 0)
            assert load.report()["open"] == 10
        assert it.pool("debug")["crashes"] == 0
        it.queues_are_empty()


def test_worker_that_is_used_does_not_rest():
    with pooling(debug="start_mode = on_demand\nidle_timeout = 1s", plain="") as it, it.load() as load:
        load.open(1).go(f"{DEBUG}/sleep/0", count=1).wait()
        old = it.wait_worker("debug")
        counts = load.go(f"{DEBUG}/sleep/0", count=15, think_ms=200).wait()
        assert counts["ok"] == 15 and it.worker("debug") == old, counts


def test_ping_notices_that_all_threads_hang():
    with pooling(debug="threads = 2\nping_interval = 100ms\nping_response_time = 500ms", plain="") as it:
        with it.load() as hanging, it.load() as queued:
            old = it.worker("debug")
            hanging.open(2).go(f"{DEBUG}/hang", count=1)
            servers.wait_for("both threads hang", lambda: it.stats("debug")["threads_busy"] == 2)
            queued.open(5).go(f"{DEBUG}/sleep/0", count=1)
            it.wait_worker("debug", other_than=(old,))
            counts = queued.wait()
            assert counts["ok"] == 5 and not wrong(counts), f"queued: {counts}"
            counts = hanging.wait()
            assert counts["status_503"] == 2 and not wrong(counts, "status_503"), f"hanging: {counts}"
        servers.wait_for("the old worker is gone", lambda: old not in it.weir.processes())
        assert "ping" in it.weir.log


def test_worker_with_one_free_thread_passes_its_pings():
    with pooling(debug="threads = 2\nping_interval = 50ms\nping_response_time = 100ms", plain="") as it:
        old = it.worker("debug")
        with it.load() as busy:
            counts = busy.open(1).go(f"{DEBUG}/sleep/1500", count=1).wait()
            assert counts["ok"] == 1, counts
        assert it.worker("debug") == old


def test_ping_can_be_turned_off():
    with pooling(debug="threads = 1\nping_enabled = off\nping_interval = 50ms\nping_response_time = 100ms",
                 plain="") as it, it.load() as busy:
        old = it.worker("debug")
        counts = busy.open(1).go(f"{DEBUG}/sleep/1500", count=1).wait()
        assert counts["ok"] == 1 and it.worker("debug") == old, counts


@pytest.fixture
def public():
    """A folder that workers may write to."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_public_"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def test_orphan_is_left_for_a_debugger(public):
    note = public / "note"
    with pooling(debug=f'threads = 1\nping_interval = 100ms\nping_response_time = 300ms\n'
                       f'orphan_worker_process = on\norphan_action_exe = "/bin/echo %1% >{note}"', plain="") as it:
        old = it.worker("debug")
        with it.load() as hanging:
            hanging.open(1).go(f"{DEBUG}/hang", count=1)
            it.wait_worker("debug", other_than=(old,))
            counts = hanging.wait()
            assert counts["status_503"] == 1 and not wrong(counts, "status_503"), counts
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        servers.wait_for("the program has run", lambda: note.exists() and note.read_text().strip())
        assert note.read_text().split() == [str(old)]
        assert pathlib.Path(f"/proc/{old}").exists(), "the orphan is alive"
        os.kill(old, signal.SIGKILL)


STOPPER = """
import os, signal, sys
children = open(f"/proc/{sys.argv[1]}/task/{sys.argv[1]}/children")
os.nice(-20)
known = set(children.read().split())
print("ready", flush=True)
while True:
    children.seek(0)
    for pid in set(children.read().split()) - known:
        os.kill(int(pid), signal.SIGSTOP)
        known.add(pid)
        print(pid, flush=True)
"""


@contextlib.contextmanager
def stillborn(keeper):
    """Stops every worker as soon as the keeper has started it: a process of its own looks without a pause."""
    watcher = subprocess.Popen([sys.executable, "-c", STOPPER, str(keeper)], stdout=subprocess.PIPE, text=True)
    servers.wait_for_line(watcher, "ready")
    try:
        yield watcher.stdout
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()


def catch_at_birth(it, keeper, stopped):
    """Crashes workers until one is stopped in the middle of its start; then stops its keeper, which would kill it."""
    for _ in range(20):
        it.crash("debug")
        pid = int(stopped.readline())
        if it.state("debug") == "starting":
            os.kill(keeper, signal.SIGSTOP)
            return pid
        os.kill(pid, signal.SIGCONT)
    raise AssertionError("no worker was caught before it was ready")


def test_pool_whose_worker_does_not_get_ready_is_refused():
    with pooling(debug=f"{FULL}\nstartup_time_limit = 1s\nrapid_fail_protection = off", plain="") as it:
        keeper = it.keeper("debug")
        with it.load() as early:
            with stillborn(keeper) as stopped:
                slow = catch_at_birth(it, keeper, stopped)
            try:
                assert it.state("debug") == "starting"
                early.open(5).go(f"{DEBUG}/sleep/0", count=1)
                servers.wait_for("requests are refused", lambda: it.queue("debug")["refusing"] == "AppPoolTimer")
                refused_by_the_kernel_side(it, "debug", f"{DEBUG}/sleep/0", "AppPoolTimer")
            finally:
                os.kill(keeper, signal.SIGCONT)
            it.wait_worker("debug", other_than=(slow,))
            counts = early.wait()
            assert counts["ok"] == 5 and not wrong(counts), f"waited for the worker: {counts}"
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        assert f"worker {slow} of pool 'debug'" in it.weir.log, "it was killed, and that is logged"


def test_keeper_that_is_killed_is_replaced():
    with pooling(debug="", plain="") as it:
        old, keeper = it.worker("debug"), it.keeper("debug")
        os.kill(keeper, signal.SIGKILL)
        servers.wait_for("another keeper", lambda: it.keeper("debug") not in (0, keeper))
        it.wait_worker("debug", other_than=(old,))
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        servers.wait_for("the old worker is gone", lambda: old not in it.weir.processes())
        assert it.get(MISS)[0] == 200


def test_cpu_limit_kills_and_refuses_until_the_interval_ends():
    settings = f"{FULL}\ncpu_limit = 10%\ncpu_reset_interval = 4s\ncpu_action = kill"
    with pooling(debug=settings, plain="") as it, it.load() as busy:
        busy.open(1).go(f"{DEBUG}/cpu/2500", count=1)
        it.wait_state("debug", "paused")
        refused_by_the_kernel_side(it, "debug", f"{DEBUG}/sleep/0", "AppShutdown")
        it.wait_state("debug", "started")
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        busy.wait()
