# SPDX-License-Identifier: GPL-2.0
"""Time limits, each with its reason counted, and the number of threads."""
import contextlib
import time

import pytest

from harness import servers
from harness.pool_client import wrong
from pooling import DEBUG, MISS, pooling

HEAD = b"GET /debug/sleep/0 HTTP/1.1\r\nHost: weir.test\r\n"
SLOW_HEADS = 200


def read_end(sock, seconds=10):
    """What comes until the connection ends: (bytes, "end" or "reset")."""
    sock.settimeout(seconds)
    got = b""
    try:
        while part := sock.recv(65536):
            got += part
        return got, "end"
    except ConnectionResetError:
        return got, "reset"


@contextlib.contextmanager
def limited(counter, **pools):
    """Weir, in which exactly one connection is to be ended, for the reason of that counter."""
    names = ("timer_connection_idle", "timer_header_wait", "timer_entity_body", "timer_min_bytes_per_second",
             "timer_app_pool", "timer_request")
    with pooling(**pools) as it:
        yield it
        it.weir.wait_stat(f"pools.debug.{counter}", 1)
        stats = it.stats("debug")
        assert {name: stats[name] for name in names if stats[name]} == {counter: 1}
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "dripping"])
def test_header_wait(drip):
    with limited("timer_header_wait", debug="header_timeout = 1s", plain="") as it:
        sock = it.connect()
        began = time.monotonic()
        sock.sendall(HEAD)
        if drip:
            sock.settimeout(0.05)
            with contextlib.suppress(TimeoutError, ConnectionError):
                while time.monotonic() - began < 8:
                    with contextlib.suppress(TimeoutError):
                        assert not sock.recv(1)
                        break
                    sock.sendall(b"X")
        got, how = read_end(sock)
        took = time.monotonic() - began
        assert not got.startswith(b"HTTP/1.1 200") and 0.8 < took < 4, (got, how, took)
        sock.close()


def test_entity_body():
    with limited("timer_entity_body", debug="body_timeout = 500ms", plain="") as it:
        sock = it.connect()
        sock.sendall(b"POST /debug/echo HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 1000\r\n\r\nfirst part")
        began = time.monotonic()
        read_end(sock)
        assert 0.3 < time.monotonic() - began < 4
        sock.close()


def test_body_that_keeps_coming_is_taken():
    with pooling(debug="body_timeout = 500ms", plain="") as it:
        sock = it.connect()
        sock.sendall(b"POST /debug/sleep/0 HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            time.sleep(0.15)  # a client's pace, together three times the limit
            sock.sendall(b"x")
        sock.settimeout(5)
        assert sock.recv(1000).startswith(b"HTTP/1.1 "), "an answer, not an end"
        sock.close()
        assert it.stats("debug")["timer_entity_body"] == 0


def test_connection_idle():
    with limited("timer_connection_idle", debug="keepalive = 1s", plain="") as it:
        with it.load() as load:
            load.open(1).go(f"{DEBUG}/sleep/0", count=1).wait()
            began = time.monotonic()
            servers.wait_for("it is closed", lambda: load.report()["eof_idle"] == 1, timeout=6)
            assert time.monotonic() - began > 0.7


def test_min_send_rate():
    with limited("timer_min_bytes_per_second", debug="min_send_rate = 100000000", plain="") as it:
        sock = it.connect()
        sock.sendall(b"GET /debug/bytes/30000000 HTTP/1.1\r\nHost: weir.test\r\n\r\n")
        it.weir.wait_stat("pools.debug.timer_min_bytes_per_second", 1)  # we read nothing meanwhile
        got, how = read_end(sock)
        assert how == "reset" and len(got) < 30_000_000
        sock.close()


def test_slow_reader_within_the_rate_gets_everything():
    size = 3_000_000
    with pooling(debug="min_send_rate = 1000", plain="") as it:
        sock = it.connect()
        sock.sendall(f"GET /debug/bytes/{size} HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n".encode())
        got = b""
        sock.settimeout(5)
        while part := sock.recv(20000):
            got += part
            time.sleep(0.01)  # about 2 MB/s
        assert len(got.split(b"\r\n\r\n", 1)[1]) == size
        assert it.stats("debug")["timer_min_bytes_per_second"] == 0
        sock.close()


def test_request_timeout():
    with limited("timer_request", debug="request_timeout = 500ms\nthreads = 2", plain="") as it:
        sock = it.connect()
        began = time.monotonic()
        sock.sendall(b"GET /debug/sleep/3000 HTTP/1.1\r\nHost: weir.test\r\n\r\n")
        got, _ = read_end(sock)
        assert not got and 0.3 < time.monotonic() - began < 2.5
        assert it.get(f"{DEBUG}/sleep/0", timeout=2)[0] == 200, "the other thread serves"
        sock.close()
        servers.wait_for("the thread is free again", lambda: it.stats("debug")["threads_busy"] == 0)


def test_slow_heads_hold_no_thread():
    with pooling(debug="threads = 2", plain="threads = 2") as it:
        slow = [it.connect() for _ in range(SLOW_HEADS)]
        for n, sock in enumerate(slow):
            sock.sendall(HEAD[:20 + n % 25])
        servers.wait_for("they are accepted", lambda: it.weir.stat("kernel.flows_kernel") == SLOW_HEADS)
        with it.load() as load:
            counts = load.open(4).go(f"{DEBUG}/sleep/1", count=100)
            for sock in slow:
                sock.sendall(b"x")
            counts = load.wait()
            assert counts["ok"] == 400 and not wrong(counts), counts
            assert counts["ok_us"]["p99"] < 300_000, counts
        for sock in slow:
            sock.close()
        it.idle_flows()
        it.queues_are_empty()


@pytest.mark.parametrize("path", [f"{DEBUG}/bytes/10000000"])
def test_slow_readers_hold_no_thread(path):
    with pooling(debug="threads = 2", plain="") as it:
        slow = [it.connect() for _ in range(20)]
        for sock in slow:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: weir.test\r\n\r\n".encode())
        with it.load() as load:
            counts = load.open(4).go(f"{DEBUG}/sleep/1", count=50).wait()
            assert counts["ok"] == 200 and not wrong(counts), counts
        for sock in slow:
            sock.close()
        it.queues_are_empty()


def test_threads_grow_under_blocking_load_and_shrink_after():
    with pooling(debug="threads_min = 2\nthreads_max = 12\nthreads_idle = 300ms", plain="") as it:
        servers.wait_for("the least", lambda: it.stats("debug")["threads"] == 2)
        with it.load() as load:
            load.open(30).go(f"{DEBUG}/sleep/200", count=10)
            servers.wait_for("the most", lambda: it.stats("debug")["threads"] == 12, timeout=5)
            counts = load.wait()
            assert counts["ok"] == 300 and not wrong(counts), counts
        servers.wait_for("the least again", lambda: it.stats("debug")["threads"] == 2)
        assert it.get(f"{DEBUG}/sleep/0")[0] == 200
        it.queues_are_empty()


def test_threads_do_not_grow_over_the_most():
    with pooling(debug="threads_min = 1\nthreads_max = 3", plain="") as it, it.load() as load:
        load.open(12).go(f"{DEBUG}/sleep/100", count=5)
        most = 0

        def look():
            nonlocal most
            most = max(most, it.stats("debug")["threads"])
            return not load.report()["busy"]

        servers.wait_for("the load is over", look)
        assert most == 3


def test_load_that_does_not_block_brings_no_threads():
    with pooling(plain="threads_min = 2\nthreads_max = 32", debug="") as it, it.load() as load:
        counts = load.open(20).go(MISS, count=300).wait()
        assert counts["ok"] == 6000 and not wrong(counts), counts
        assert it.stats("plain")["threads"] <= 6, "threads for work that lacks only a processor"
