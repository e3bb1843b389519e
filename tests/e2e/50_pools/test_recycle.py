# SPDX-License-Identifier: GPL-2.0
"""Recycling replaces workers, by every trigger, and no client notices."""
import contextlib
import datetime

import pytest

from harness import servers
from harness.pool_client import wrong
from pooling import DEBUG, HIT, IS_SLOW, MISS, allow, open_fds, pooling

RECYCLES = 200 if IS_SLOW else 30
IDLE = 20


@contextlib.contextmanager
def loaded(it):
    """Constant load on the pools that are there; at the end nothing may have failed."""
    paths = {"debug": f"{DEBUG}/sleep/2", "files": HIT, "plain": MISS}
    with contextlib.ExitStack() as stack:
        loads = []
        for name in it.status()["pools"]:
            for connections, mode in ((6, "keep"), (2, "close"), (2, "drop")):
                load = stack.enter_context(it.load()).open(connections)
                load.go(paths[name], think_ms=2, mode=mode)
                loads.append((name, mode, load))
        idle = stack.enter_context(it.load()).open(IDLE)
        assert idle.go(paths[name], count=1, think_ms=100).wait()["ok"] == IDLE
        yield
        for name, mode, load in loads:
            counts = load.halt()
            assert not wrong(counts), f"{name}, {mode}: {counts}"
            assert counts["ok"] > 10, f"{name}, {mode}: {counts}"
        counts = idle.go(paths[name], count=1, think_ms=100).wait()
        assert counts["ok"] == IDLE and not counts["opened"] and not wrong(counts), f"idle connections: {counts}"


def wait_recycles(it, name, least, timeout=15):
    servers.wait_for(f"{least} recycles of {name}", lambda: it.pool(name)["recycles"] >= least, timeout)


def test_recycling_by_command_under_load_fails_no_request():
    allow(140 if not IS_SLOW else 900)
    with pooling(debug="", files="", plain="") as it:
        it.warm()
        for name in ("debug", "files", "plain"):
            it.do("recycle", name)
            wait_recycles(it, name, 1)
        with loaded(it):
            fds = {name: open_fds(it.keeper(name)) for name in ("debug", "plain")}
            for n in range(RECYCLES):
                name = ("debug", "plain", "files")[n % 3]
                old, count = it.wait_worker(name), it.pool(name)["recycles"]
                it.do("recycle", name)
                wait_recycles(it, name, count + 1)
                assert it.wait_worker(name) != old
            for name, number in fds.items():
                assert open_fds(it.keeper(name)) <= number + 16, f"the keeper of {name} has more descriptors"
        status = it.status()["pools"]
        assert sum(pool["recycles"] for pool in status.values()) == RECYCLES + 3
        assert not sum(pool["crashes"] for pool in status.values())
        it.queues_are_empty()
        it.idle_flows()
        servers.wait_for("no old worker", lambda: len(it.weir.processes()) == 1 + 2 * 3)


def test_request_in_flight_is_finished_by_the_old_worker():
    with pooling(debug="threads = 4", plain="") as it, it.load() as flight:
        old = it.worker("debug")
        flight.open(4).go(f"{DEBUG}/sleep/1500", count=1)
        servers.wait_for("all threads are busy", lambda: it.stats("debug")["threads_busy"] == 4)
        it.do("recycle", "debug")
        it.wait_worker("debug", other_than=(old,))
        assert it.get(f"{DEBUG}/sleep/0", timeout=1)[0] == 200, "the new worker serves meanwhile"
        counts = flight.wait()
        assert counts["ok"] == 4 and not wrong(counts), counts
        wait_recycles(it, "debug", 1)


def test_shutdown_limit_ends_a_worker_that_does_not_finish():
    with pooling(debug="shutdown_time_limit = 500ms", plain="") as it, it.load() as flight:
        old = it.worker("debug")
        flight.open(1).go(f"{DEBUG}/hang", count=1)
        servers.wait_for("it hangs", lambda: it.stats("debug")["threads_busy"] == 1)
        it.do("recycle", "debug")
        counts = flight.wait(10)
        assert counts["status_503"] == 1 and not wrong(counts, "status_503"), counts
        servers.wait_for("the old worker is gone", lambda: old not in it.weir.processes())
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


@pytest.mark.parametrize("name, setting, reason", [
    ("debug", "periodic_restart_time = 1s", "Time"),
    ("debug", "periodic_restart_requests = 100", "Requests"),
])
def test_recycling_by_limit_fails_no_request(name, setting, reason):
    with pooling(debug=setting, plain="") as it:
        with loaded(it):
            wait_recycles(it, name, 3)
        assert it.pool("plain")["recycles"] == 0 and it.pool(name)["crashes"] == 0
        assert f"is replaced by {it.worker(name)}: {reason}" in it.weir.log


def test_recycling_by_memory():
    with pooling(debug="periodic_restart_memory = 150M", plain="") as it:
        with loaded(it):
            old = it.worker("debug")
            assert it.get(f"{DEBUG}/memory/200")[0] == 200
            wait_recycles(it, "debug", 1)
            it.wait_worker("debug", other_than=(old,))
        assert it.pool("debug")["recycles"] == 1, "the new worker is small again"
        assert ": Memory" in it.weir.log


def test_recycling_by_file_change(tmp_path):
    watched = tmp_path / "settings"
    watched.write_text("one\n")
    with pooling(debug=f'periodic_restart_files = {{"{watched}"}}', plain="") as it:
        with loaded(it):
            watched.write_text("two\n")
            wait_recycles(it, "debug", 1)
        assert it.pool("plain")["recycles"] == 0


@pytest.mark.skipif(not IS_SLOW, reason="takes up to two minutes")
def test_recycling_by_schedule():
    allow(200)
    soon = (datetime.datetime.now() + datetime.timedelta(seconds=75)).strftime("%H:%M")
    with pooling(debug=f'periodic_restart_schedule = {{"{soon}"}}', plain="") as it:
        wait_recycles(it, "debug", 1, timeout=130)
        assert datetime.datetime.now().strftime("%H:%M") == soon


def test_recycle_of_a_pool_that_is_stopped_or_unknown_is_an_error():
    with pooling(debug="", plain="") as it:
        assert it.do("recycle", "nosuch", check=False).returncode != 0
        it.do("stop", "debug")
        it.wait_state("debug", "stopped")
        assert it.do("recycle", "debug", check=False).returncode != 0
        assert it.state("debug") == "stopped"
