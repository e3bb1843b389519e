# SPDX-License-Identifier: GPL-2.0
"""A supervisor that is killed: all are served on, and the next one takes over or replaces, without a failed request."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

from harness import servers
from harness.pool_client import wrong
from instance import PINS, PROGRAM, Weir, run
from pooling import DEBUG, HIT, MISS, Pools, folders, write_config

IDLE = 20


@contextlib.contextmanager
def killable(**pools):
    """Pools whose supervisor the test may kill; it.again() starts the next one. At the end nothing may be left."""
    with folders() as (pair, root):
        it = Pools(pair, root, write_config(root, **pools))
        folder = pathlib.Path(tempfile.mkdtemp(prefix="weir_run_"))
        folder.chmod(0o755)
        (folder / "weir.conf").write_text(it.config)
        runs = []

        def begin():
            it.weir = Weir(folder, pair.server, ("-c", folder / "weir.conf"))
            runs.append(it.weir)
            it.weir.start()

        def kill():
            it.weir.remember_programs()
            os.kill(it.weir.pid, signal.SIGKILL)
            it.weir.process.wait()

        it.again, it.kill, it.folder = begin, kill, folder
        it.processes = lambda: [pid for one in runs for pid in one.processes()]
        it.left = lambda: sorted({text for one in runs for text in one.left()})
        it.left_pins = lambda: [path.name for path in PINS.glob(f"{folder.name}/*")]
        try:
            begin()
            for name in pools:
                it.wait_state(name, "started")
            yield it
            if it.weir.is_running:
                it.weir.command("stop")
                it.weir.process.wait(20)
                assert it.weir.process.returncode == 0
            servers.wait_for("no process is left", lambda: not it.processes())
            try:
                servers.wait_for("nothing is left", lambda: not it.left(), timeout=10)
            except TimeoutError:
                pytest.fail(f"left behind: {it.left()}")
            # the log and the configuration are ours
            assert {path.name for path in folder.iterdir()} <= {"log", "weir.conf"}, "left beside the control socket"
        finally:
            for one in runs:
                one.clear()
            print(f"--- weir run, {len(runs)} times\n{runs[-1].log}")
            shutil.rmtree(folder)


@contextlib.contextmanager
def under_load(it):
    """Constant load of all kinds; afterwards no request may have failed and idle connections must be as they were."""
    with contextlib.ExitStack() as stack:
        loads = []
        for path in (f"{DEBUG}/sleep/2", HIT, MISS):
            for connections, mode in ((6, "keep"), (3, "close")):
                load = stack.enter_context(it.load()).open(connections).go(path, think_ms=3, mode=mode)
                loads.append((path, mode, load))
        idle = stack.enter_context(it.load()).open(IDLE)
        assert idle.go(f"{DEBUG}/sleep/0", count=1, think_ms=100).wait()["ok"] == IDLE

        def progress():
            """Waits until every load has got some more answers."""
            for path, mode, load in loads:
                got = []

                def look():
                    got.append(load.report())
                    assert not wrong(got[-1]), f"{path}, {mode}: {got[-1]}"
                    return sum(counts["ok"] for counts in got) > 20

                servers.wait_for(f"{path}, {mode} goes on", look)

        yield progress
        progress()
        for path, mode, load in loads:
            counts = load.halt()
            assert not wrong(counts), f"{path}, {mode}: {counts}"
        counts = idle.go(f"{DEBUG}/sleep/0", count=1, think_ms=100).wait()
        assert counts["ok"] == IDLE and not counts["opened"] and not wrong(counts), f"idle connections: {counts}"


def test_all_are_served_while_there_is_no_supervisor_and_the_next_takes_over():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        with under_load(it) as progress:
            progress()
            for round_ in range(3):
                workers = {name: it.worker(name) for name in ("debug", "files", "plain")}
                it.kill()
                progress()
                it.again()
                assert it.weir.log.count("taking over") == round_ + 1
                for name, pid in workers.items():
                    assert it.wait_worker(name) == pid, f"{name}: the worker is still the same"
                progress()
            it.do("recycle", "debug")
            it.wait_worker("debug", other_than=(workers["debug"],))
            pid = it.wait_worker("plain")
            progress()
        os.kill(pid, signal.SIGSEGV)
        it.wait_worker("plain", other_than=(pid,))
        it.warm()
        it.idle_flows()
        it.queues_are_empty()


def test_other_configuration_replaces_what_a_killed_supervisor_left():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        with under_load(it) as progress:
            old = it.worker("debug")
            it.kill()
            progress()
            (it.folder / "weir.conf").write_text(write_config(it.root, debug="threads = 7", files="", plain=""))
            it.again()
            assert "replac" in it.weir.log, it.weir.log
            assert it.wait_worker("debug") != old
            progress()
        servers.wait_for("the old workers are gone", lambda: old not in it.processes())
        assert it.pool("debug")["threads"] == 7
        it.warm()


def test_worker_that_dies_without_a_supervisor_is_replaced():
    with killable(debug="", plain="") as it:
        old = it.worker("debug")
        it.kill()
        os.kill(old, signal.SIGSEGV)
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        it.again()
        assert it.wait_worker("debug") != old
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


def test_stopped_pool_is_stopped_after_the_takeover():
    with killable(debug="", plain="") as it:
        it.do("stop", "debug")
        it.wait_state("debug", "stopped")
        it.kill()
        assert it.get(f"{DEBUG}/sleep/0")[0] == 503 and it.get(MISS)[0] == 200
        it.again()
        assert it.state("debug") == "stopped"
        assert it.get(f"{DEBUG}/sleep/0")[0] == 503 and it.get(MISS)[0] == 200
        it.do("start", "debug")
        it.wait_state("debug", "started")
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


def test_stop_after_a_kill_ends_what_is_left():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        it.kill()
        assert it.get(HIT)[0] == 200
        assert it.processes(), "workers go on"
        done = run(PROGRAM, "stop", "--control", it.weir.control, check=False)
        assert done.returncode == 0, done
        servers.wait_for("no process is left", lambda: not it.processes())


def test_new_start_after_a_kill_and_a_stop_is_a_start():
    with killable(debug="", plain="") as it:
        it.kill()
        run(PROGRAM, "stop", "--control", it.weir.control)
        servers.wait_for("no process is left", lambda: not it.processes())
        before = len(it.weir.log)
        it.again()
        assert "taking over" not in it.weir.log[before:]
        it.wait_state("debug", "started")
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


def test_kill_of_everything_is_cleaned_up_by_the_next_start():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        it.weir.remember_programs()
        for pid in it.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        it.weir.process.wait()
        it.again()
        it.wait_state("files", "started")
        it.warm()
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


def reload(it, threads, **pools):
    """Another number of threads for `debug`, in force when this returns."""
    (it.folder / "weir.conf").write_text(write_config(it.root, debug=f"threads = {threads}", **pools))
    os.kill(it.weir.pid, signal.SIGHUP)

    def look():
        # the control socket is away for a moment, which may be that of any command
        done = it.weir.command("status", "--json", check=False)
        assert it.weir.is_running, it.weir.log
        return done.returncode == 0 and json.loads(done.stdout)["pools"]["debug"]["threads"] == threads

    servers.wait_for("the new setting", look)


def test_reload_under_load_fails_no_request():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        with under_load(it) as progress:
            progress()
            for threads in (5, 6):
                old = it.worker("debug")
                reload(it, threads, files="", plain="")
                it.wait_worker("debug", other_than=(old,))
                progress()
        it.queues_are_empty()


def test_clients_that_ask_again_at_once_do_not_keep_a_replaced_worker():
    """Its threads have ended; the one that passes connections on must not serve them instead."""
    with killable(debug="", plain="") as it, it.load() as keep, it.load() as close:
        keep.open(6).go(f"{DEBUG}/sleep/2")
        close.open(3).go(f"{DEBUG}/sleep/2", mode="close")
        old = it.worker("debug")
        reload(it, 5, plain="")
        servers.wait_for("the old worker is gone", lambda: old not in it.processes(), timeout=4)
        for load in (keep, close):
            counts = load.halt()
            assert not wrong(counts), counts
            assert counts["ok_us"]["max"] < 2_000_000, counts


def test_reload_during_the_drain_of_a_reload_leaves_no_setting_changed():
    with killable(debug="", plain="") as it, it.load() as flight:
        setting = it.pair.server.argv("cat", "/proc/sys/net/ipv4/tcp_migrate_req")
        before = run(*setting).stdout
        flight.open(2).go(f"{DEBUG}/sleep/1500", count=1)
        servers.wait_for("in flight", lambda: it.stats("debug")["threads_busy"] == 2)
        for threads in (5, 6):
            reload(it, threads, plain="")
        counts = flight.wait()
        assert counts["ok"] == 2 and not wrong(counts), counts
        servers.wait_for("the old workers are gone", lambda: len(it.processes()) == 1 + 2 * 2)
        servers.wait_for("the setting is as it was", lambda: run(*setting).stdout == before)


def test_stop_under_load_drains():
    with killable(debug="", plain="") as it, it.load() as flight:
        flight.open(4).go(f"{DEBUG}/sleep/1000", count=1)
        servers.wait_for("in flight", lambda: it.stats("debug")["threads_busy"] == 4)
        it.weir.command("stop")
        counts = flight.wait()
        assert counts["ok"] == 4 and not wrong(counts), counts
        it.weir.process.wait(20)
