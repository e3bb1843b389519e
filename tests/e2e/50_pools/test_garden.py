# SPDX-License-Identifier: GPL-2.0
"""A pool of several workers: connections are spread, and a slot that is replaced or dead is no gap."""
import os
import signal

import pytest

from harness import servers
from harness.pool_client import add, wrong
from pooling import DEBUG, pooling

SLOTS = 3
CLIENTS = 300


@pytest.fixture(scope="module")
def garden():
    with pooling(debug=f"slots = {SLOTS}\nthreads = 4\nrapid_fail_protection = off", plain="") as it:
        for slot in range(SLOTS):
            it.wait_worker("debug", slot=slot)
        yield it


def workers(it):
    return [row["worker_pid"] for row in it.pool("debug")["workers"] if row["state"] == "started" and row["worker_pid"]]


def wait_workers(it, others=()):
    """Ids of the workers, all started and none of `others`."""

    def look():
        found = workers(it)
        return len(found) == SLOTS and not set(found) & set(others) and found

    return servers.wait_for("all workers", look)


def sockets_of(pid):
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return found


def test_new_connections_are_spread_evenly(garden):
    pids = wait_workers(garden)
    assert len(set(pids)) == SLOTS and len({row["keeper_pid"] for row in garden.pool("debug")["workers"]}) == SLOTS
    before = [sockets_of(pid) for pid in pids]
    with garden.load() as load:
        counts = load.open(CLIENTS).go(f"{DEBUG}/sleep/0", count=1, think_ms=500).wait()
        assert counts["ok"] == CLIENTS and not wrong(counts), counts
        got = [sockets_of(pid) - n for pid, n in zip(pids, before)]
        print(got)
        assert sum(got) == CLIENTS
        assert min(got) > CLIENTS / SLOTS * 0.6 and max(got) < CLIENTS / SLOTS * 1.4, got
        counts = load.go(f"{DEBUG}/sleep/0", count=1).wait()
        assert counts["ok"] == CLIENTS and not counts["opened"] and not wrong(counts), counts
    garden.queues_are_empty()


def test_recycle_goes_through_the_slots_one_by_one(garden):
    pids = wait_workers(garden)
    with garden.load() as keep, garden.load() as close:
        keep.open(12).go(f"{DEBUG}/sleep/3")
        close.open(6).go(f"{DEBUG}/sleep/3", mode="close")
        for _ in range(3):
            pids = wait_workers(garden)
            done = sum(row["recycles"] for row in garden.pool("debug")["workers"])
            garden.do("recycle", "debug")
            busy = []

            def look():
                rows = garden.pool("debug")["workers"]
                busy.append(sum(1 for row in rows if row["state"] != "started"))
                return sum(row["recycles"] for row in rows) == done + SLOTS

            servers.wait_for("all are recycled", look)
            wait_workers(garden, others=pids)
            assert max(busy) <= 1, f"slots that were at it at one time: {busy}"
        total = add(keep.halt(), close.halt())
        assert not wrong(total), total
        assert total["ok"] > 100
    garden.queues_are_empty()


def test_dead_worker_of_one_slot_is_no_matter_to_the_others(garden):
    with garden.load() as load, garden.load() as idle:
        idle.open(60).go(f"{DEBUG}/sleep/0", count=1, think_ms=200).wait()
        load.open(12).go(f"{DEBUG}/sleep/3")
        for _ in range(10):
            pid = wait_workers(garden)[0]
            os.kill(pid, signal.SIGSEGV)
            wait_workers(garden, others=(pid,))
        counts = load.halt()
        assert not wrong(counts, "status_503"), counts
        assert counts.get("status_503", 0) <= 10 * 4, counts
        counts = idle.go(f"{DEBUG}/sleep/0", count=1, think_ms=200).wait()
        assert counts["ok"] == 60 and not counts["opened"] and not wrong(counts), counts
    garden.queues_are_empty()


def test_queue_of_a_garden_is_one(garden):
    queue = garden.queue("debug")
    with garden.load() as load:
        counts = load.open(60).go(f"{DEBUG}/sleep/50", count=3).wait()
        assert counts["ok"] == 180 and not wrong(counts), counts
    garden.queues_are_empty()
    after = garden.queue("debug")
    assert after["arrived"] - queue["arrived"] == 180 == after["taken"] - queue["taken"]
