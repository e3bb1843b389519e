# SPDX-License-Identifier: GPL-2.0
"""What a module sees of a request, and the bodies that it reads, however they come."""
import socket
import threading
import time

import pytest

from harness import servers
from moduling import Reader, checksum, chunked, noise

MEGA = noise(1_500_000)


def post(path, body, *fields, version="1.1"):
    lines = [f"POST /m{path} HTTP/{version}", "Host: a.test", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def counted(body):
    return f"{len(body)} {checksum(body)}\n".encode()


def test_module_sees_the_whole_request(module):
    it = module()
    sock = it.socket()
    sock.sendall(b"\r\nGET /m/a%20b/../show?x=%41&y HTTP/1.1\r\nHOST: A.Test:8080\r\nX-Twice:  one \r\n"
                 b"x-tWICE:two\t\r\nEmpty:\r\n\r\n")
    status, _, body = Reader(sock).response()
    assert status == 200
    lines = body.decode().splitlines()
    assert lines[:10] == [
        "method GET", "target /m/a%20b/../show?x=%41&y", "path /m/show", "query x=%41&y", "host a.test", "prefix /m/",
        "client 127.0.0.1 1", "minor 1", "second two", "none 1"]
    assert lines[11:] == ["field HOST=A.Test:8080", "field X-Twice=one", "field x-tWICE=two", "field Empty="]


def test_bodies_with_a_length_and_in_chunks_arrive(module):
    it = module()
    connection = it.connect()
    for body in (b"", b"x", noise(1000), noise(16384), MEGA):
        assert it.ask("POST", "/count/0", body, connection=connection)[:2] == (200, counted(body))
        pieces = [body[at:at + 7777] for at in range(0, len(body), 7777)]
        status, answer, _ = it.ask("POST", "/count/0", chunked(*pieces), {"Transfer-Encoding": "chunked"}, connection)
        assert (status, answer) == (200, counted(body))
    assert it.stats()["accepted"] == 1, "one connection for all"


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
def test_module_that_reads_in_small_pieces_gets_the_same(module, piece):
    it = module()
    body = noise(3000)
    assert it.ask("POST", f"/count/{piece}", body)[:2] == (200, counted(body))
    assert it.ask("POST", f"/count/{piece}", chunked(body[:1], body[1:17], body[17:], end=b"0;x=y\r\nT: 1\r\n\r\n"),
                  {"Transfer-Encoding": "chunked"})[:2] == (200, counted(body))


def test_bodies_that_come_byte_by_byte_arrive(module):
    it = module("threads = 2")
    for data in (post("/count/0", b"0123456789", "Content-Length: 10"),
                 post("/count/0", chunked(b"01234", b"56789"), "Transfer-Encoding: chunked")):
        sock = it.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            sock.sendall(data[at:at + 1])
        assert Reader(sock).response()[::2] == (200, counted(b"0123456789"))


def test_requests_pipelined_behind_bodies_are_answered_in_order(module):
    it = module()
    small, large = noise(500), noise(100_000)
    sent = b""
    expected = []
    for body in (small, large, b"", small):
        sent += post("/count/0", body, f"Content-Length: {len(body)}")
        sent += post("/count/0", chunked(body[:9], body[9:]) if body else chunked(), "Transfer-Encoding: chunked")
        sent += b"GET /m/show HTTP/1.1\r\nHost: a.test\r\n\r\n"
        expected += [counted(body), counted(body), None]
    sock = it.socket()
    sender = threading.Thread(target=sock.sendall, args=(sent,))
    sender.start()
    reader = Reader(sock)
    for text in expected:
        status, _, body = reader.response()
        assert status == 200 and (body == text if text else body.startswith(b"method GET"))
    sender.join()


def test_body_that_the_module_does_not_read_is_thrown_away(module):
    it = module()
    sock = it.socket()
    reader = Reader(sock)
    for body in (noise(100), noise(60_000)):
        sock.sendall(post("/show", body, f"Content-Length: {len(body)}") + post(
            "/show", chunked(body), "Transfer-Encoding: chunked") + b"GET /m/pid HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(3):
            status, fields, _ = reader.response()
            assert status == 200 and fields["connection"] == "keep-alive"
    sock.sendall(post("/show", b"", "Content-Length: 10000000"))
    status, fields, _ = reader.response()
    assert status == 200 and fields["connection"] == "close", "too much to throw away"


def test_client_that_waits_for_100_gets_it_only_when_the_body_is_read(module):
    it = module()
    sock = it.socket()
    reader = Reader(sock)
    sock.sendall(post("/count/0", b"", "Content-Length: 5", "Expect: 100-continue"))
    assert reader.head()[0] == 100
    sock.sendall(b"hello")
    assert reader.response()[::2] == (200, counted(b"hello"))
    sock.sendall(post("/status/403", b"", "Content-Length: 5", "Expect: 100-continue"))
    status, fields, _ = reader.response()
    assert status == 403 and fields["connection"] == "close", "nobody knows whether the body comes"
    assert reader.rest() == b""


def test_body_larger_than_the_limit_is_refused(module):
    it = module("request_body_max = 8K")
    body = noise(8192)
    assert it.ask("POST", "/count/0", body)[:2] == (200, counted(body))
    assert it.ask("POST", "/count/0", body + b"x")[0] == 413
    assert it.ask("POST", "/count/0", chunked(body), {"Transfer-Encoding": "chunked"})[:2] == (200, counted(body))
    status, _, response = it.ask("POST", "/count/0", chunked(body, b"x"), {"Transfer-Encoding": "chunked"})
    assert status == 413 and response.getheader("Connection") == "close"


@pytest.mark.parametrize("body", [b"x\r\n", b"3\r\nabcd\r\n", b"2\r\nab\nx", b"0\r\nbad\n"])
def test_malformed_chunks_are_refused(module, body):
    it = module()
    sock = it.socket()
    sock.sendall(post("/count/0", body, "Transfer-Encoding: chunked"))
    status, fields, _ = Reader(sock).response()
    assert status == 400 and fields["connection"] == "close"


def test_silent_client_is_given_up_after_body_timeout(module):
    it = module("body_timeout = 400ms")
    sock = it.socket()
    sock.sendall(post("/count/0", b"01", "Content-Length: 10"))
    for _ in range(3):
        time.sleep(0.2)  # each piece starts the time anew
        sock.sendall(b"x")
    began = time.monotonic()
    status, fields, _ = Reader(sock).response()
    assert status == 408 and fields["connection"] == "close"
    assert 0.3 < time.monotonic() - began < 5
    assert it.stats()["timer_entity_body"] == 1
    assert it.get("/count/0")[0] == 200


def test_client_that_goes_away_frees_the_thread(module):
    it = module("threads = 1")
    for data in (post("/count/0", b"01", "Content-Length: 10"), post("/count/0", b"5\r\na", "Transfer-Encoding: chunked")):
        sock = it.socket()
        sock.sendall(data)
        servers.wait_for("the thread reads", lambda: it.stats()["threads_busy"] == 1)
        sock.close()
        servers.wait_for("the thread is free", lambda: it.stats()["threads_busy"] == 0)
    assert it.get("/count/0")[0] == 200
    assert "error" not in it.weir.log, "that is no fault of the module"


def test_several_threads_serve_with_a_state_of_their_own(module):
    it = module("threads = 4")
    with it.load() as load:
        counts = load.open(8).go("/m/sleep/20", count=10).wait()
        assert counts["ok"] == 80, counts
    it.weir.command("pool", "recycle", "probe")
    it.wait_log(r"worker_fini in \d+ after 80 requests")
    lines = [line for line in it.weir.log.splitlines() if "thread_fini" in line]
    assert 2 <= len(lines) <= 4 and sum(int(line.split()[-2]) for line in lines) == 80


@pytest.mark.parametrize("attach", ["none", "auto"])
def test_bodies_reach_the_module_through_another_pool(weir, shared_object, site, attach):
    """Connections are accepted by either pool, and passed on with what was read: head, body, and what is behind it."""
    from instance import PORT
    from moduling import Module

    instance = weir(config=f"""
listen = {{ "127.0.0.1:{PORT}" }}
attach = {attach}
pool files {{ root = "{site.path}" prefixes = {{ "http://*:{PORT}/" }} }}
pool probe {{ handler = module module = "{shared_object("probe")}" prefixes = {{ "http://*:{PORT}/m/" }} }}
""")
    it = Module(instance)
    it.wait_worker()
    body = noise(40_000)
    get = b"GET /small.txt HTTP/1.1\r\nHost: a.test\r\n\r\n"
    for _ in range(8):
        sock = it.socket()
        sock.sendall(get + post("/count/0", body, f"Content-Length: {len(body)}") + get
                     + post("/count/0", chunked(body), "Transfer-Encoding: chunked") + get)
        reader = Reader(sock)
        for expected in (site.files["small.txt"], counted(body)) * 2 + (site.files["small.txt"],):
            status, _, answer = reader.response()
            assert (status, answer) == (200, expected)
        sock.close()
    assert it.stats()["received"] > 0 and it.pool()["crashes"] == 0
    if attach == "none":
        assert it.get("/cache/page")[0] == 200 and it.get("/purge/tag") == (200, b"0\n"), "no kernel cache, no harm"
