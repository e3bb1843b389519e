# SPDX-License-Identifier: GPL-2.0
"""Upstreams that die, hang, send garbage, or send too much: the client hears 502 or 504, or sees that the response is
cut; the log says which upstream it was, and why; and nothing of one response gets into another."""
import contextlib
import socket
import threading
import time

import pytest

from harness.servers import wait_for
from upstreams import echo, once, wait_log

OK = b"HTTP/1.1 200 OK\r\n"

GARBAGE = {
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP/1 status line"),
    "HTTP/2": (b"HTTP/2.0 200 OK\r\n\r\n", "no HTTP/1 status line"),
    "bad code": (b"HTTP/1.1 2x0 OK\r\n\r\n", "bad status code"),
    "code 999": (b"HTTP/1.1 999 OK\r\n\r\n", "status code outside"),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "line feed without carriage return"),
    "bare CR": (OK + b"X: a\rb\r\n\r\n", "bare carriage return"),
    "fold": (OK + b"X: a\r\n b\r\n\r\n", "field continues"),
    "no colon": (OK + b"what is this\r\n\r\n", "field name is not a token"),
    "space before colon": (OK + b"Content-Length : 3\r\n\r\nabc", "field name is not a token"),
    "NUL": (OK + b"X: a\0b\r\n\r\n", "control character"),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "more than one Content-Length"),
    "signed length": (OK + b"Content-Length: +3\r\n\r\nabc", "bad Content-Length"),
    "huge length": (OK + b"Content-Length: 99999999999999999999\r\n\r\n", "bad Content-Length"),
    "smuggling": (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both Content-Length"),
    "coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding not known"),
    "1.0 chunked": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding in HTTP/1.0"),
    "101 unasked": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "switches protocols"),
    "long head": (OK + b"X: " + b"a" * 20000 + b"\r\n\r\n", "response head too long"),
    "endless head": (OK + b"X: " + b"a" * 200000, "response head too long"),
    "many fields": (OK + b"X: a\r\n" * 150 + b"\r\n", "too many fields"),
    "endless 1xx": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50, "too many interim"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_a_502(proxy, client, name):
    data, why = GARBAGE[name]
    weir = proxy(once(data, lambda line: line.read()), lines="retries = 0")
    it = client()
    it.request("/x")
    status, fields = it.head()
    while status == 103:
        status, fields = it.head()
    body = b"".join(it.pieces(fields))
    assert status == 502 and weir.upstream.address.encode() not in body
    line = wait_log(weir, why)
    assert "pool 'app'" in line and weir.upstream.address in line and "GET /x" in line


def test_upstream_that_closes_before_its_response(proxy, client):
    weir = proxy(once(b""), lines="retries = 0")
    assert client().get("/")[0] == 502
    wait_log(weir, "closed the connection before its response")


def test_upstream_that_resets(proxy, client):
    weir = proxy(once(b"", lambda line: line.reset()), lines="retries = 0")
    assert client().get("/")[0] == 502
    wait_log(weir, "reset the connection before its response")


def test_upstream_that_is_not_there(proxy, client, upstream):
    gone = upstream(echo)
    gone.close()
    weir = proxy(gone, "unix:/run/weir-nobody.sock")
    assert client().get("/")[0] == 502
    wait_log(weir, "refuses connections", gone.address)
    wait_log(weir, "socket does not exist")


def test_upstream_that_hangs_is_a_504(proxy, client):
    weir = proxy(once(b"", lambda line: line.read()), lines="upstream_timeout = 300ms retries = 0")
    it, began = client(), time.monotonic()
    assert it.get("/")[0] == 504
    assert 0.25 < time.monotonic() - began < 0.9
    wait_log(weir, "did not answer within upstream_timeout")
    assert it.get("/again")[0] == 504, "the connection goes on"


def test_upstream_that_hangs_inside_its_response_cuts_it(proxy, client):
    weir = proxy(once(OK + b"Content-Length: 10\r\n\r\nabc", lambda line: line.read()),
                 lines="upstream_timeout = 300ms")
    with pytest.raises((EOFError, ConnectionError)):
        client().get("/")
    wait_log(weir, "went silent")


@pytest.mark.parametrize("data", [OK + b"Content-Length: 10\r\n\r\nabc",
                                  OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
                                  OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
                         ids=["length", "chunk", "between chunks"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_upstream_that_dies_inside_its_response_cuts_it(proxy, client, data, version):
    weir = proxy(once(data))
    it = client()
    it.request("/", version=version)
    try:
        # in one piece with the head: nothing had been sent yet; a body up to the end must end in a reset
        assert it.response()[0] == 502
    except (EOFError, ConnectionError):
        pass
    wait_log(weir, "inside its response")


@pytest.mark.parametrize("chunk", [b"g\r\n", b"5\nabcde", b"3\r\nabcd\r\n", b"-1\r\n", b"1" * 20 + b"\r\n",
                                   b"0\r\nbad trailer\r\n\r\n", b"0\r\nX: " + b"a" * 9000 + b"\r\n\r\n"])
def test_malformed_chunks_cut_the_response(proxy, client, chunk):
    weir = proxy(once(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n" + chunk, lambda line: line.read()))
    it = client()
    try:
        assert it.get("/")[0] == 502  # in one piece with the head: nothing had been sent yet
    except (EOFError, ConnectionError):
        pass
    wait_log(weir, "malformed chunked body")


def test_bytes_behind_a_response_are_nobodys_response(proxy, client):
    weir = proxy(once(OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                      lambda line: line.read()))
    it = client()
    for _ in range(5):
        assert it.get("/")[2] == b"ok"
    wait_log(weir, "sends more than its response")
    assert len(weir.upstream.lines) == 5


def test_late_bytes_behind_a_response_close_the_connection(proxy, client):
    go, closed = threading.Event(), threading.Event()

    def serve(_, line):
        line.read()
        line.answer("first")
        go.wait(10)
        line.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        with contextlib.suppress(ConnectionResetError):
            line.file.read()
        closed.set()

    proxy(serve)
    it = client()
    assert it.get("/")[2] == b"first"
    go.set()
    assert closed.wait(10)
    assert it.get("/")[2] == b"first"


def test_response_body_max(proxy, client):
    weir = proxy(once(OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000), lines="response_body_max = 4K")
    assert client().get("/")[0] == 502
    wait_log(weir, "longer than response_body_max")


def test_request_body_max(proxy, client):
    weir = proxy(echo, lines="request_body_max = 4K")
    assert client().get("/", method="POST", body=b"x" * 4096)[0] == 200
    assert client().get("/", method="POST", body=b"x" * 4097)[0] == 413
    it = client()
    it.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    it.send(b"1000\r\n" + b"x" * 4096 + b"\r\n1\r\nx\r\n0\r\n\r\n")
    assert it.response()[0] == 413
    assert len(weir.upstream.requests) == 1


def test_malformed_request_body_is_a_400(proxy, client):
    weir = proxy(echo)
    it = client()
    it.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    assert it.response()[0] == 400
    assert it.is_closed() and not weir.upstream.requests


def test_client_that_dies_in_its_body_ends_the_upstream_connection(proxy, client):
    weir = proxy(echo)
    it = client()
    it.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    wait_for("the upstream has it", lambda: weir.upstream.lines)
    it.close()
    wait_for("the upstream sees the end", lambda: weir.upstream.lines[0].sock.fileno() == -1)
    assert not weir.upstream.requests


def test_early_response_while_the_client_still_sends(proxy, client):
    def serve(_, line):
        line.read_head()
        line.answer("too large", status="413 Content Too Large", fields="Connection: close\r\n")

    proxy(serve)
    it = client()
    it.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100000)
    status, fields, body = it.response()
    assert (status, body, fields["connection"]) == (413, b"too large", "close")
    assert it.is_closed()


def test_slow_pieces_pass_at_once(proxy, client):
    go = [threading.Event() for _ in range(3)]

    def serve(_, line):
        line.read()
        line.send(OK + b"Content-Length: 3\r\n\r\n")
        for n, event in enumerate(go):
            event.wait(10)
            line.send(b"%d" % n)

    proxy(serve)
    it = client()
    it.request("/")
    _, fields = it.head()
    pieces = it.pieces(fields)
    for n, event in enumerate(go):
        event.set()
        assert next(pieces) == b"%d" % n


def test_client_that_takes_a_byte_now_and_then_is_cut(proxy, client):
    weir = proxy(once(OK + b"Content-Length: 30000000\r\n\r\n" + b"x" * 30_000_000), lines="min_send_rate = 60000")
    it = client()
    it.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    it.request("/")
    began = time.monotonic()
    with pytest.raises(ConnectionError):
        while time.monotonic() - began < 30:
            time.sleep(0.05)
            it.sock.recv(200)
    wait_log(weir, "Timer_MinBytesPerSecond")


def test_client_that_is_slow_but_not_too_slow_gets_everything(proxy, client):
    size = 8 << 20
    proxy(once(OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size), lines="min_send_rate = 60000")
    it = client()
    it.request("/")
    _, fields = it.head()
    got = 0
    for piece in it.pieces(fields):
        got += len(piece)
        time.sleep(0.02)
    assert got == size
