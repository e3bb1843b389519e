# SPDX-License-Identifier: GPL-2.0
"""A hand-over that fails is tried again on the client's retransmission and never answered with a reset."""
import contextlib
import os
import signal
import threading

from harness import servers
from lending import MISS, lending

BACKLOG = 4
CLIENTS = 40


@contextlib.contextmanager
def stopped(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_full_accept_queue_only_delays():
    with lending(prepare=lambda pair: pair.server.sysctl("net.core.somaxconn", BACKLOG)) as lend:
        clients = [lend.client() for _ in range(CLIENTS)]
        before = lend.weir.stats()
        failures = []

        def ask(client):
            try:
                client.get(MISS)
            except Exception as e:
                failures.append(repr(e))

        threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
        with stopped(lend.workers("plain")):
            for thread in threads:
                thread.start()
            servers.wait_for("hand-overs are tried again", lambda: servers.moved(before, lend.weir.stats()).get(
                "kernel.handover_retries", 0) >= CLIENTS - 3 * BACKLOG)
            assert not failures, failures
        for thread in threads:
            thread.join()
        assert not failures, failures
        print(servers.moved(before, lend.weir.stats()))
        for client in clients:
            client.get(MISS)
            client.close()
