# SPDX-License-Identifier: GPL-2.0
"""A worker that dies takes down what it had in flight, and nothing else."""
import contextlib
import os
import signal

from harness import servers
from harness.pool_client import add, wrong
from pooling import DEBUG, HIT, IS_SLOW, MISS, allow, fd_targets, open_fds, pooling, resident_kb

CRASHES = 1000 if IS_SLOW else 100
THREADS = 4
IDLE = 30
BETWEEN = 10  # requests that a worker answers before it is killed


def left_behind(it):
    """What could leak, as numbers that only a leak raises."""
    pids = {"supervisor": it.weir.pid, "keeper of debug": it.keeper("debug"), "keeper of plain": it.keeper("plain")}
    kernel = it.weir.stats()["kernel"]
    out = {f"descriptors of the {name}": open_fds(pid) for name, pid in pids.items()}
    out |= {name: kernel[name] for name in ("flows", "flows_kernel", "flows_xdp", "cache_entries", "cache_bytes")}
    out["processes"] = len(it.weir.processes())
    return out, {name: resident_kb(pid) for name, pid in pids.items()}


def crash_many(it, times):
    requests = 0
    for _ in range(times):
        pid = it.wait_worker("debug")
        requests = max(requests, it.stats("debug")["requests"])
        servers.wait_for("the worker serves", lambda: it.stats("debug")["requests"] >= requests + BETWEEN)
        requests = it.stats("debug")["requests"]
        os.kill(pid, signal.SIGSEGV)
        it.wait_worker("debug", other_than=(pid,))


def test_many_crashes_under_load_hurt_only_what_is_in_flight():
    allow(140 if not IS_SLOW else 1500)
    with pooling(debug=f"rapid_fail_protection = off\nthreads = {THREADS}", files="", plain="") as it:
        it.warm()
        it.get("/debug/sleep/0")
        it.get(MISS)
        it.crash("debug")
        it.wait_worker("debug")
        it.warm()
        it.idle_flows()
        crashes_before = it.stats("debug")["crashes"]
        counted_before = it.weir.stats()
        before, rss_before = left_behind(it)
        with it.load() as idle, it.load() as keep, it.load() as close, it.load() as hits, it.load() as misses, \
                it.load() as closing_hits:
            first = idle.open(IDLE).go(f"{DEBUG}/sleep/0", count=1, think_ms=200).wait()
            assert first["ok"] == IDLE, first
            keep.open(3 * THREADS).go(f"{DEBUG}/sleep/5")
            close.open(THREADS).go(f"{DEBUG}/sleep/5", mode="close")
            hits.open(4).go(HIT, think_ms=5)
            closing_hits.open(2).go(HIT, think_ms=10, mode="close")
            misses.open(4).go(MISS, think_ms=5)
            crash_many(it, CRASHES)

            others = [load.halt() for load in (hits, closing_hits, misses)]
            for counts in others:
                assert not wrong(counts), f"the other pools: {counts}"
                assert counts["ok"] > CRASHES
            crashed = [load.halt() for load in (keep, close)]
            for counts in crashed:
                assert not wrong(counts, "status_503"), f"the pool that crashes: {counts}"
            total = add(*crashed)
            print(total, *others, sep="\n")
            assert 0 < total["status_503"] <= CRASHES * THREADS
            assert total["retry_after"] == total["status_503"], "each 503 says when to come back"

            waited = idle.report()
            assert not wrong(waited) and waited["open"] == IDLE, f"idle connections: {waited}"
            again = idle.go(f"{DEBUG}/sleep/0", count=1, think_ms=200).wait()
            assert again["ok"] == IDLE and not wrong(again) and not again["opened"], f"the same connections: {again}"

        it.queues_are_empty()
        it.idle_flows()
        moved = servers.moved(counted_before, it.weir.stats())
        assert moved["pools.debug.crashes"] == CRASHES == moved["pools.debug.restarts"], moved
        assert it.stats("debug")["crashes"] == crashes_before + CRASHES
        assert moved["pools.debug.responses_5xx"] == total["status_503"], "503s that were sent and that arrived"
        # a worker may die between an answer and the counter
        sent, seen = moved["pools.debug.responses_2xx"], total["ok"] + 2 * IDLE
        assert seen - CRASHES <= sent <= seen, f"{sent} answers counted, {seen} arrived"
        assert moved["pools.plain.responses_2xx"] == others[2]["ok"]
        assert moved["pools.files.hits"] + moved.get("pools.files.responses_2xx", 0) == add(*others[:2])["ok"]
        # of a client whose port is in TIME-WAIT, from a request to `debug`, the kernel makes a connection without XDP
        met = moved.get("kernel.verdicts.pass_kernel_syn", 0)
        assert moved.get("pools.files.responses_2xx", 0) < 10 + met, f"the kernel's cache answers, but {met} clients"

        it.warm()
        # what is on its way out is no leak: the last control connection, for one
        leaks = {}

        def is_as_before():
            after = left_behind(it)[0]
            leaks.clear()
            leaks.update({name: (n, after[name]) for name, n in before.items() if after[name] > n})
            return not leaks

        with contextlib.suppress(TimeoutError):
            servers.wait_for("as before", is_as_before, timeout=5)
        assert not leaks, f"leaks (before, after): {leaks}; the supervisor has {fd_targets(it.weir.pid)}"
        rss_after = left_behind(it)[1]
        grown = {name: rss_after[name] - kb for name, kb in rss_before.items() if rss_after[name] - kb > 4096}
        assert not grown, f"grew by kB: {grown}"


def test_exactly_what_is_in_flight_gets_a_503():
    queued_fresh, queued_lent = 20, 20
    with pooling(debug=f"threads = {THREADS}", plain="") as it:
        with it.load() as flight, it.load() as fresh, it.load() as lent:
            lent.open(queued_lent).go(f"{DEBUG}/sleep/0", count=1, think_ms=100).wait()
            flight.open(THREADS).go(f"{DEBUG}/sleep/30000", count=1)
            servers.wait_for("all threads are busy", lambda: it.stats("debug")["threads_busy"] == THREADS)
            lent.go(f"{DEBUG}/sleep/0", count=1)
            fresh.open(queued_fresh).go(f"{DEBUG}/sleep/0", count=1, mode="close")
            servers.wait_for("all others wait", lambda: it.queue("debug")["depth"] == queued_fresh + queued_lent)
            it.crash("debug")
            for load, number in ((fresh, queued_fresh), (lent, queued_lent)):
                counts = load.wait()
                assert counts["ok"] == number and not wrong(counts), f"queued: {counts}"
            counts = flight.wait()
            assert counts["status_503"] == THREADS and not wrong(counts, "status_503"), f"in flight: {counts}"
        log = it.weir.log
        assert "died of signal 11 (Segmentation fault)" in log and f"with {THREADS} requests in flight" in log
        assert log.count("in flight: GET /debug/sleep/30000 from 10.77.0.2:") == THREADS
        assert "core dump" in log
        it.queues_are_empty()


def test_request_that_kills_its_worker_gets_a_503():
    with pooling(debug="", plain="") as it:
        status, text = it.get(f"{DEBUG}/crash")
        assert status == 503 and "Retry-After:" in text, text
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        assert it.stats("debug")["crashes"] == 1 == it.stats("debug")["restarts"]


def test_response_that_has_begun_is_not_passed_off_as_complete():
    size = 30_000_000
    with pooling(debug="", plain="") as it:
        sock = it.connect()
        sock.sendall(f"GET {DEBUG}/bytes/{size} HTTP/1.1\r\nHost: weir.test\r\n\r\n".encode())
        got = len(sock.recv(1000))
        assert got
        pid = it.crash("debug")
        it.wait_worker("debug", other_than=(pid,))
        try:
            while part := sock.recv(65536):
                got += len(part)
            raise AssertionError(f"an end after {got} bytes instead of a reset")
        except ConnectionResetError:
            pass
        assert got < size
        sock.close()


def test_connections_that_are_being_accepted_see_no_reset():
    with pooling(debug="rapid_fail_protection = off\nthreads = 4", plain="") as it, it.load() as load:
        load.open(16).go(f"{DEBUG}/bytes/10", mode="close")
        seen = 0
        for n in range(CRASHES // 2):
            pid = it.wait_worker("debug")
            servers.wait_for("it serves", lambda: it.stats("debug")["requests"] > seen + 50)
            os.kill(pid, signal.SIGSEGV)
            it.wait_worker("debug", other_than=(pid,))
            seen = it.stats("debug")["requests"]
        counts = load.halt()
        print(counts)
        assert not wrong(counts, "status_503"), counts
        assert counts.get("status_503", 0) <= CRASHES // 2 * THREADS


def test_worker_killed_without_load_is_replaced_each_time():
    with pooling(debug="rapid_fail_protection = off", plain="") as it:
        for number in (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGILL, signal.SIGBUS):
            pid = it.crash("debug", number)
            it.wait_worker("debug", other_than=(pid,))
            assert it.get(f"{DEBUG}/sleep/0")[0] == 200, number
