# SPDX-License-Identifier: GPL-2.0
"""A module's responses on the wire: framing, streaming, slow clients, and what must never get there."""
import socket
import time

import pytest

from harness import servers
from moduling import Reader, chunked, letters, noise

GET = "GET /m{} HTTP/1.{}\r\nHost: a.test\r\n\r\n"


def ask(it, path, minor=1, sock=None):
    sock = sock or it.socket()
    sock.sendall(GET.format(path, minor).encode())
    return Reader(sock)


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 1_000_000])
def test_body_is_framed_by_what_is_known_of_it(module, size):
    it = module()
    status, fields, body = ask(it, f"/bytes/{size}").response()
    assert status == 200 and body == letters(size)
    assert ("content-length" in fields) == (size <= 65536) and ("transfer-encoding" in fields) == (size > 65536)
    status, fields, body = ask(it, f"/length/{size}").response()
    assert status == 200 and body == letters(size)
    assert fields["content-length"] == str(size) and "transfer-encoding" not in fields
    assert fields["connection"] == "keep-alive"


def test_http_1_0_client_gets_a_body_without_chunks(module):
    it = module()
    reader = ask(it, "/bytes/1000000", minor=0)
    status, fields = reader.head()
    assert status == 200 and "content-length" not in fields and "transfer-encoding" not in fields
    assert fields["connection"] == "close" and reader.rest() == letters(1_000_000)
    reader = ask(it, "/bytes/100", minor=0)
    assert reader.response()[2] == letters(100) and reader.rest() == b""


def test_head_has_the_fields_of_get_and_no_body(module):
    it = module()
    sock = it.socket()
    reader = Reader(sock)
    for path, size in (("/bytes/100", "100"), ("/bytes/1000000", "1000000"), ("/length/5", "5")):
        sock.sendall(f"HEAD /m{path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        status, fields, _ = reader.response("HEAD")
        assert status == 200 and fields["content-length"] == size, path
    assert ask(it, "/pid", sock=sock).response()[0] == 200, "nothing of a body is in between"


def test_statuses_without_content_have_none(module):
    it = module()
    sock = it.socket()
    for status in (204, 304):
        got, fields, _ = ask(it, f"/status/{status}", sock=sock).response()
        assert got == status and "content-length" not in fields and "transfer-encoding" not in fields
    got, fields, body = ask(it, "/status/404", sock=sock).response()
    assert got == 404 and fields["content-length"] == "0"


def test_module_may_close_the_connection(module):
    it = module()
    reader = ask(it, "/close")
    assert reader.response()[1]["connection"] == "close" and reader.rest() == b""


def test_flushed_pieces_arrive_while_the_module_waits(module):
    it = module()
    sock = it.socket()
    sock.sendall(b"POST /m/talk HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n")
    reader = Reader(sock)
    assert reader.head()[1]["transfer-encoding"] == "chunked"
    assert reader.until(b"first\n\r\n") == b"6\r\nfirst\n\r\n"
    sock.sendall(b"now")
    assert reader.until(b"0\r\n\r\n") == b"7\r\nsecond\n\r\n0\r\n\r\n"
    assert ask(it, "/pid", sock=sock).response()[0] == 200


def test_streaming_in_both_directions(module):
    it = module()
    body = noise(3_000_000)
    connection = it.connect()
    assert it.ask("POST", "/echo/0", body[:200_000], connection=connection)[:2] == (200, body[:200_000])
    # a client that only sends at first: what the sockets and the module take must be enough for this much
    pieces = [body[at:at + 50_000] for at in range(0, 300_000, 50_000)]
    assert it.ask("POST", "/echo/1000", chunked(*pieces), {"Transfer-Encoding": "chunked"},
                  connection)[:2] == (200, body[:300_000])


def test_slow_reader_gets_everything(module):
    """Although it looks, for longer than ping_response_time, as if no thread of the worker could do anything."""
    it = module("threads = 1\nping_interval = 100ms\nping_response_time = 300ms")
    pid = it.wait_worker()
    sock = it.socket()
    sock.sendall(GET.format("/length/20000000", 1).encode() + GET.format("/pid", 1).encode())
    servers.wait_for("the module waits", lambda: it.stats()["threads_busy"] == 1)
    time.sleep(1)
    reader = Reader(sock)
    assert reader.response()[2] == letters(20_000_000)
    assert reader.response()[::2] == (200, f"{pid}\n".encode())
    assert it.pool()["crashes"] == 0


def test_reader_below_the_minimum_rate_is_cut(module):
    it = module("threads = 1\nmin_send_rate = 100000000")
    sock = it.socket()
    sock.sendall(GET.format("/bytes/60000000", 1).encode())
    servers.wait_for("the limit strikes", lambda: it.stats()["timer_min_bytes_per_second"] == 1)
    with pytest.raises(ConnectionResetError):
        Reader(sock).rest()
    assert it.get("/pid")[0] == 200


def test_reader_that_goes_away_frees_the_thread(module):
    it = module("threads = 1")
    sock = it.socket()
    sock.sendall(GET.format("/bytes/60000000", 1).encode())
    servers.wait_for("the module waits", lambda: it.stats()["threads_busy"] == 1)
    sock.close()
    assert it.get("/pid")[0] == 200
    assert "error" not in it.weir.log


MISUSES = {
    "nothing": "returned without a response",
    "failure": r"handle\(\) returned 7",
    "write_first": r"write\(\) before begin",
    "status": r"begin\(100\): a status is from 200",
    "two_heads": r"begin\(200\) after begin\(200\)",
    "crlf": r"add_field\(X-Bad\): the value has a control character",
    "name": "the name of a field is empty or has a byte",
    "framing": r"add_field\(Transfer-Encoding\)|add_field\(transfer-encoding\)",
    "no_content": "a response of status 204 has no body",
    "long": "longer than its Content-Length, 2",
    "short": "the body has 4 bytes, its Content-Length says 99",
    "large_head": "the head of the response is larger",
    "after_end": r"write\(\) after the end",
    "two_ends": r"end\(\) after the end",
    "no_room": r"read\(\) without room",
}


def test_misuse_is_a_500_and_a_line_in_the_log(module):
    it = module()
    sock = it.socket()
    for kind, line in MISUSES.items():
        status, fields, body = ask(it, f"/misuse/{kind}", sock=sock).response()
        assert status == 500 and body == b"500 Internal Server Error\n", kind
        assert "set-cookie" not in fields and "x-bad" not in fields
        it.wait_log(f"GET /m/misuse/{kind}: .*({line}).*; the client gets 500")
    assert ask(it, "/pid", sock=sock).response()[0] == 200, "the connection goes on"
    assert it.pool()["crashes"] == 0


@pytest.mark.parametrize("kind", ["late_field", "cut", "cut_failure"])
def test_misuse_after_the_head_cuts_the_connection(module, kind):
    it = module()
    reader = ask(it, f"/misuse/{kind}")
    assert reader.head()[0] == 200 and reader.until(b"body\r\n") == b"4\r\nbody\r\n"
    with pytest.raises(ConnectionResetError):
        reader.rest()
    assert reader.data == b"", "no end of the body"
    it.wait_log(f"GET /m/misuse/{kind}: .*its connection is cut")
