# SPDX-License-Identifier: GPL-2.0
"""Stale responses: revalidation, stale-while-revalidate, stale-if-error; many requests for one fetch."""
import concurrent.futures
import contextlib
import threading
import time

import pytest
from harness.servers import wait_for

from origin import Client, Page


def many(netns, count, target, **more):
    """As many clients at once: [(status, fields, body, seconds)]."""
    def one(_):
        c = Client(netns)
        began = time.monotonic()
        status, fields, body = c.get(target, **more)
        c.close()
        return status, fields, body, time.monotonic() - began
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_a_hundred_at_once_are_one_request(cached, origin, netns):
    cached()
    gate = threading.Event()
    origin.pages["/slow"] = Page("slow" * 1000, "Cache-Control: max-age=60\r\n", gate=gate)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(many, netns, 100, "/slow")
        wait_for("the origin is asked", lambda: origin.count("/slow"))
        time.sleep(0.3)  # the time in which more could come
        gate.set()
        for status, _, body, _ in answers.result():
            assert (status, body) == (200, b"slow" * 1000)
    assert origin.count("/slow") == 1


def test_those_who_wait_hold_no_thread(cached, origin, netns, client):
    cached("threads = 1")
    gate = threading.Event()
    origin.pages["/slow"] = Page("slow", "Cache-Control: max-age=60\r\n", gate=gate)
    origin.pages["/quick"] = Page("quick", "Cache-Control: max-age=60\r\n")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(many, netns, 20, "/slow")
        wait_for("the origin is asked", lambda: origin.count("/slow"))
        for _ in range(5):
            assert client().get("/quick")[2] == b"quick"
        gate.set()
        assert {a[2] for a in answers.result()} == {b"slow"}
    assert origin.count("/slow") == 1


def test_what_cannot_be_stored_does_not_queue(cached, origin, netns, client):
    cached()
    gate = threading.Event()
    origin.pages["/own"] = Page("own", "Cache-Control: private\r\n")
    client().get("/own")
    origin.pages["/own"] = Page("own", "Cache-Control: private\r\n", gate=gate)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(many, netns, 10, "/own")
        wait_for("each has its own request", lambda: origin.count("/own") == 11)
        gate.set()
        assert {a[2] for a in answers.result()} == {b"own"}


def test_wait_is_bounded(cached, origin, netns, client):
    cached("cache_wait = 300ms")
    gate = threading.Event()
    origin.pages["/slow"] = Page("slow", "Cache-Control: max-age=60\r\n", gate=gate)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(many, netns, 5, "/slow")
        wait_for("those who waited ask for themselves", lambda: origin.count("/slow") == 5)
        gate.set()
        assert {a[2] for a in answers.result()} == {b"slow"}


def test_who_waits_is_served_when_the_first_one_leaves(cached, origin, netns, client):
    cached()
    gate = threading.Event()
    origin.pages["/slow"] = Page("slow", "Cache-Control: max-age=60\r\n", gate=gate)
    first = client()
    first.request("/slow")
    wait_for("the origin is asked", lambda: origin.count("/slow"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(many, netns, 10, "/slow")
        time.sleep(0.2)
        first.close()
        time.sleep(0.2)
        gate.set()
        assert {a[2] for a in answers.result()} == {b"slow"}
    assert origin.count("/slow") <= 2


def test_stale_is_confirmed_by_the_origin(cached, origin, client):
    cached()
    origin.pages["/a"] = Page("x" * 3000, "Cache-Control: max-age=1\r\nX-Turn: 1\r\n", etag='"v1"')
    c = client()
    c.get("/a")
    origin.pages["/a"] = Page("y" * 3000, "Cache-Control: max-age=1\r\nX-Turn: 2\r\n", etag='"v1"')
    wait_for("it is asked again", lambda: c.get("/a")[0] == 200 and origin.count("/a") >= 2)
    assert origin.requests[-1].get("if-none-match") == '"v1"'
    status, fields, body = c.get("/a")
    assert (status, body) == (200, b"x" * 3000)
    assert fields["x-turn"] == "2"


def test_stale_that_has_changed_is_replaced(cached, origin, client):
    cached()
    origin.pages["/a"] = Page("old", "Cache-Control: max-age=1\r\n", etag='"v1"')
    c = client()
    c.get("/a")
    origin.pages["/a"] = Page("new", "Cache-Control: max-age=60\r\n", etag='"v2"')
    began = time.monotonic()
    while c.get("/a")[2] == b"old":
        assert time.monotonic() < began + 3
    assert time.monotonic() > began + 0.8
    for _ in range(3):
        assert c.get("/a")[2] == b"new"
    assert origin.count("/a") == 2


def test_no_cache_asks_each_time(cached, origin, client):
    cached()
    origin.pages["/a"] = Page("x" * 100, "Cache-Control: no-cache\r\n", etag='"v1"')
    c = client()
    for _ in range(4):
        assert c.get("/a")[::2] == (200, b"x" * 100)
    assert origin.count("/a") == 4
    assert [r.get("if-none-match") for r in origin.requests] == [None, '"v1"', '"v1"', '"v1"']


def test_stale_while_revalidate_lets_nobody_wait(cached, origin, netns, client):
    cached()
    origin.pages["/a"] = Page("old", "Cache-Control: max-age=1, stale-while-revalidate=60\r\n", etag='"v1"')
    c = client()
    c.get("/a")
    gate = threading.Event()
    origin.pages["/a"] = Page("new", "Cache-Control: max-age=60\r\n", etag='"v2"', gate=gate)
    time.sleep(1.1)  # its lifetime
    answers = many(netns, 50, "/a")
    answers += many(netns, 50, "/a")
    assert {a[2] for a in answers} == {b"old"}
    assert max(a[3] for a in answers) < 3
    wait_for("one asks", lambda: origin.count("/a") == 2)
    gate.set()
    wait_for("the new one is there", lambda: c.get("/a")[2] == b"new")
    assert origin.count("/a") == 2


@pytest.mark.parametrize("failure", ["503", "closed", "refused"])
def test_stale_if_error(cached, origin, client, failure):
    cached("retries = 0")
    origin.pages["/a"] = Page("good", "Cache-Control: max-age=1, stale-if-error=60\r\n", etag='"v1"')
    c = client()
    c.get("/a")
    if failure == "refused":
        origin.close()
    origin.pages["/a"] = Page("bad", status="503 Service Unavailable") if failure == "503" else lambda r: None
    time.sleep(1.1)  # its lifetime
    for _ in range(5):
        assert c.get("/a")[::2] == (200, b"good")


def test_without_stale_if_error_the_failure_is_shown(cached, origin, client):
    cached("retries = 0")
    origin.pages["/a"] = Page("good", "Cache-Control: max-age=1, must-revalidate\r\n", etag='"v1"')
    c = client()
    c.get("/a")
    origin.pages["/a"] = Page("bad", status="503 Service Unavailable")
    time.sleep(1.1)  # its lifetime
    assert c.get("/a")[::2] == (503, b"bad")


def test_half_a_response_is_not_stored(cached, origin, client):
    cached("retries = 0")
    origin.serve = lambda up, line: (line.read(), line.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                                                             "Content-Length: 100\r\n\r\nhalf"))
    with contextlib.suppress(EOFError, ConnectionResetError):
        assert client().get("/a")[0] == 502
    origin.serve = type(origin)._answer
    origin.pages["/a"] = Page("whole", "Cache-Control: max-age=60\r\n")
    assert client().get("/a")[2] == b"whole"


def test_who_waits_for_what_cannot_be_stored_goes_on_with_its_head(cached, origin, netns):
    """The first one's body takes long; the others do not wait for it."""
    cached()
    gate = threading.Event()

    def serve(upstream, line):
        while request := line.read():
            with upstream.count_lock:
                upstream.requests.append(request)
                is_first = len(upstream.requests) == 1
            if is_first:
                wait_for("others wait", lambda: others_wait.is_set())
            line.send("HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 4\r\n\r\now")
            if is_first:
                assert gate.wait(30)
            line.send("n.")

    others_wait = threading.Event()
    origin.serve = serve
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(many, netns, 1, "/a")
        wait_for("the origin is asked", lambda: origin.count("/a"))
        others = pool.submit(many, netns, 10, "/a")
        time.sleep(0.2)  # until they wait
        others_wait.set()
        assert {a[2] for a in others.result()} == {b"own."}
        gate.set()
        assert first.result()[0][2] == b"own."


def test_a_range_of_something_too_large_fetches_it_not_whole(cached, origin, client):
    cached("cache_max_object = 100K")
    sent = [0]

    def serve(upstream, line):
        while request := line.read():
            with upstream.count_lock:
                upstream.requests.append(request)
            if request.get("range"):
                line.send("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n"
                          "Content-Range: bytes 0-1/1000000000\r\n\r\nxx")
                continue
            line.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                line.send(b"x" * 65536)
                sent[0] += 65536

    origin.serve = serve
    assert client().get("/a", fields="Range: bytes=0-1\r\n")[::2] == (206, b"xx")
    assert sent[0] < 20_000_000


def test_nothing_is_used_beyond_its_lifetime(cached, origin, netns):
    """Bodies say when they were made; no answer to a request is older than max-age allows when it is asked for."""
    cached("slots = 2")
    origin.pages["/a"] = lambda r: Page(repr(time.monotonic()), "Cache-Control: max-age=1\r\n")
    stop, worst, count = time.monotonic() + 6, [0.0], [0]

    def ask():
        c = Client(netns)
        while (now := time.monotonic()) < stop:
            worst[0] = max(worst[0], now - float(c.get("/a")[2]))
            count[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert worst[0] < 1.02, f"{worst[0]:.3f} s old"
    assert origin.count("/a") <= 14 and count[0] > 1000
