# SPDX-License-Identifier: GPL-2.0
"""The queue's limit: what is over it is answered by XDP, and every request is counted once."""
import pytest

from harness import servers
from harness.pool_client import wrong
from pooling import DEBUG, allow, pooling

CLIENTS, LIMIT, THREADS = 1000, 100, 4
RESET = {"refused_reset", "refused_seize_reset"}
REFUSED = {"refused", "refused_tc", "refused_seize"} | RESET
SPREAD_MS = 3000  # over which all clients ask once without filling the queue, on a busy machine too
BRIEF_US = 50_000  # what is refused waits for nobody; the clients share two processors with everything else

VERBOSITIES = {
    "basic": None,
    "limited": "503 Service Unavailable",
    "full": "503 Service Unavailable (QueueFull)",
}


def settings(verbosity="limited", more=""):
    return f"""
threads_min = {THREADS}
threads_max = {THREADS}
queue_length = {LIMIT}
http_503_verbosity = {verbosity}
{more}"""


def watch_until_drained(it):
    """Waits until the queue has filled and is empty again, never deeper than its limit. Returns the greatest depth."""
    seen = []

    def look():
        queue = it.queue("debug")
        seen.append(queue["depth"])
        assert queue["depth"] <= LIMIT == queue["limit"], queue
        return max(seen) and queue["depth"] == 0 and queue["in_sockets"] == 0

    servers.wait_for("the queue fills and drains", look, timeout=60)
    return max(seen)


def check(it, before, counts, depth, verbosity):
    """Refusals are for those over the limit, quick, of the right kind; and all counters agree with the clients."""
    moved = servers.moved(before, it.weir.stats())
    print(moved, counts, sep="\n")
    phrase = VERBOSITIES[verbosity]
    over = "status_503" if phrase else "reset_before"
    assert not wrong(counts, over), counts
    assert counts["ok"] + counts[over] == CLIENTS, counts
    # those who wait and those whom a thread has taken while the others came, which may be over before the first is
    assert LIMIT <= counts["ok"] <= LIMIT + 3 * THREADS, "not those who wait and the first served"
    assert depth > LIMIT // 2
    if phrase:
        assert counts["phrases"] == {"200 OK": counts["ok"], phrase: counts[over]}
        assert counts["retry_after"] == counts[over]
        assert counts["refused_us"]["median"] < BRIEF_US, counts["refused_us"]
    it.queues_are_empty()
    moved = servers.moved(before, it.weir.stats())
    verdicts, resets = (sum(moved.get(f"kernel.verdicts.{name}", 0) for name in names) for names in (REFUSED, RESET))
    assert verdicts == counts[over] == moved["pools.debug.refused_QueueFull"]
    assert moved["pools.debug.responses_2xx"] == moved["pools.debug.requests"] == counts["ok"]
    assert "pools.debug.responses_5xx" not in moved, "the worker never saw one of them"
    assert resets == (counts[over] if verbosity == "basic" else 0)
    return moved


def overload_fresh(verbosity, ms):
    with pooling(debug=settings(verbosity), plain="") as it, it.load() as load:
        before, queue = it.weir.stats(), it.queue("debug")
        load.open(CLIENTS).go(f"{DEBUG}/sleep/{ms}", count=1)
        depth = watch_until_drained(it)
        counts = load.wait()
        moved = check(it, before, counts, depth, verbosity)
        after = it.queue("debug")
        assert after["arrived"] - queue["arrived"] == counts["ok"] == after["taken"] - queue["taken"]
        assert moved["kernel.handovers"] == counts["ok"] == moved["pools.debug.accepted"]
        servers.wait_for("it is logged", lambda: f"{CLIENTS - counts['ok']} request" in it.weir.log or
                         "refused (QueueFull)" in it.weir.log)
        again = load.go(f"{DEBUG}/sleep/0", count=1, think_ms=SPREAD_MS).wait()
        assert again["ok"] == CLIENTS and not wrong(again), f"after the overload: {again}"
        assert again["opened"] == CLIENTS - counts["ok"], "a refused client starts anew, an accepted one goes on"
    return counts


def test_clients_over_the_limit_are_refused_by_the_kernel_side():
    allow(100)
    counts = overload_fresh("limited", 1000)
    assert LIMIT <= counts["ok"] <= LIMIT + 2 * THREADS


@pytest.mark.parametrize("verbosity", ["basic", "full"])
def test_verbosity_decides_what_they_see(verbosity):
    overload_fresh(verbosity, 200)


@pytest.mark.parametrize("verbosity", list(VERBOSITIES))
def test_connections_that_the_worker_holds_are_refused_alike(verbosity):
    with pooling(debug=settings(verbosity), plain="") as it, it.load() as load:
        first = load.open(CLIENTS).go(f"{DEBUG}/sleep/0", count=1, think_ms=SPREAD_MS).wait()
        assert first["ok"] == CLIENTS and not wrong(first), f"one after the other: {first}"
        it.queues_are_empty()
        before = it.weir.stats()
        load.go(f"{DEBUG}/sleep/200", count=1)
        depth = watch_until_drained(it)
        counts = load.wait()
        check(it, before, counts, depth, verbosity)
        again = load.go(f"{DEBUG}/sleep/0", count=1, think_ms=SPREAD_MS).wait()
        assert again["ok"] == CLIENTS and not wrong(again), f"after the overload: {again}"
        it.queues_are_empty()


def test_full_queue_of_one_pool_is_nothing_to_another():
    with pooling(debug=settings(), plain="") as it, it.load() as load, it.load() as other:
        load.open(300).go(f"{DEBUG}/sleep/100", count=2)
        servers.wait_for("refusals", lambda: it.queue("debug")["refused"]["QueueFull"] > 0)
        counts = other.open(4).go("/plain/small-120.txt", count=50).wait()
        assert counts["ok"] == 200 and not wrong(counts), counts
        load.wait()
        assert it.queue("plain")["refused"]["QueueFull"] == 0


def test_request_that_waits_too_long_is_refused_by_its_worker():
    with pooling(debug=settings(more="queue_timeout = 500ms\nthreads = 4"), plain="") as it:
        with it.load() as flight, it.load() as late, it.load() as late_lent:
            late_lent.open(5).go(f"{DEBUG}/sleep/0", count=1, think_ms=50).wait()
            flight.open(THREADS).go(f"{DEBUG}/sleep/1500", count=1)
            servers.wait_for("all threads are busy", lambda: it.stats("debug")["threads_busy"] == THREADS)
            late.open(10).go(f"{DEBUG}/sleep/0", count=1)
            late_lent.go(f"{DEBUG}/sleep/0", count=1)
            servers.wait_for("they wait", lambda: it.queue("debug")["depth"] == 15)
            servers.wait_for("their age shows", lambda: it.queue("debug")["oldest_ms"] > 300)
            for load, number in ((late, 10), (late_lent, 5)):
                counts = load.wait()
                assert counts["status_503"] == number and not wrong(counts, "status_503"), counts
            assert flight.wait()["ok"] == THREADS
        assert it.stats("debug")["timer_app_pool"] == 15
        it.queues_are_empty()
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


def test_connections_that_never_met_xdp_are_counted_right():
    """A client's port that is used again while the server's socket is in TIME-WAIT: the kernel alone makes the
    connection. It must not count as taken what never counted as arrived: that would raise the limit for all."""
    with pooling(debug=settings(), plain="") as it:
        it.pair.client.sysctl("net.ipv4.ip_local_port_range", "20000 20199")
        with it.load() as load:
            counts = load.open(8).go(f"{DEBUG}/bytes/10", count=250, mode="close").wait()
            assert counts["ok"] == 2000 and not wrong(counts), counts
        assert it.weir.stat("kernel.verdicts.pass_kernel_syn") > 500, "the case that is meant"
        queue = it.queue("debug")
        assert queue["arrived"] == queue["taken"], queue
        it.pair.client.sysctl("net.ipv4.ip_local_port_range", "30000 60000")
        with it.load() as load:
            counts = load.open(300).go(f"{DEBUG}/sleep/100", count=1).wait()
            assert counts["ok"] <= LIMIT + 3 * THREADS, counts
            assert counts["ok"] + counts["status_503"] == 300 and not wrong(counts, "status_503"), counts
