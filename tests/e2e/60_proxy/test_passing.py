# SPDX-License-Identifier: GPL-2.0
"""A request goes to an upstream and its response to the client, in every framing that HTTP/1.1 has."""
import pytest

from upstreams import echo, once


def test_request_reaches_upstream_and_response_the_client(proxy, client):
    weir = proxy(echo)
    status, fields, body = client().get("/a/b?c=d", fields="X-Own: 1\r\n")
    assert status == 200 and body.startswith(b"GET /a/b?c=d HTTP/1.1\n")
    seen = weir.upstream.requests[0]
    assert seen.get("x-own") == "1" and seen.get("host") == "weir.test"
    assert seen.get("x-forwarded-for") == "127.0.0.1" and seen.get("x-forwarded-proto") == "http"
    assert seen.get("x-forwarded-host") == "weir.test" and seen.get("via") == "1.1 weir"
    assert seen.get("forwarded") == 'for=127.0.0.1;host="weir.test";proto=http'
    assert fields["via"] == "1.1 weir" and "date" in fields


def test_upstream_by_unix_socket(proxy, client, upstream, folder):
    proxy(upstream(echo, path=folder / "up.sock"))
    assert client().get("/")[0] == 200


def test_connection_and_upstream_connection_are_kept(proxy, client):
    weir = proxy(echo)
    it = client()
    for n in range(20):
        assert it.get(f"/{n}")[2].startswith(f"GET /{n} ".encode())
    assert len(weir.upstream.lines) == 1


def test_bodies_by_length_and_by_chunks_arrive(proxy, client):
    weir = proxy(echo)
    it = client()
    assert it.get("/p", method="POST", body=b"x" * 50000)[2].endswith(b"x" * 50000)
    it.send(b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n"
            b"0\r\nX-Check: 7\r\n\r\n")
    assert it.response()[2].endswith(b"hello world")
    assert weir.upstream.requests[1].trailers == "X-Check: 7\r\n"
    assert it.get("/after")[0] == 200


def test_pipelined_requests_are_answered_in_order(proxy, client):
    proxy(echo)
    it = client()
    it.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert [it.response()[2].split()[1] for _ in range(4)] == [b"/1", b"/2", b"/3", b"/4"]
    assert it.is_closed()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;e\r\ndefg\r\n0\r\nX-Sum: 9\r\nHost: evil\r\n\r\n"
TO_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nabcdefg"


@pytest.mark.parametrize("data", [CHUNKED, TO_CLOSE], ids=["chunked", "close"])
def test_body_without_length_becomes_chunked(proxy, client, data):
    proxy(once(data))
    it = client()
    status, fields, body = it.get("/")
    assert (status, body, fields["transfer-encoding"]) == (200, b"abcdefg", "chunked")
    assert it.trailers == ("X-Sum: 9\r\n" if data is CHUNKED else "")
    assert fields["connection"] == "keep-alive" and it.get("/again")[2] == b"abcdefg"


@pytest.mark.parametrize("data", [CHUNKED, TO_CLOSE], ids=["chunked", "close"])
def test_http_1_0_client_gets_a_body_up_to_the_end(proxy, client, data):
    proxy(once(data))
    it = client()
    status, fields, body = it.get("/", version="1.0", fields="Connection: keep-alive\r\n")
    assert (status, body) == (200, b"abcdefg")
    assert "transfer-encoding" not in fields and fields["connection"] == "close"


@pytest.mark.parametrize("status, fields", [("204 No Content", ""), ("304 Not Modified", "ETag: \"x\"\r\n"),
                                            ("304 Not Modified", "Content-Length: 77\r\n")])
def test_status_without_body(proxy, client, status, fields):
    def serve(_, line):
        while line.read():
            line.send(f"HTTP/1.1 {status}\r\n{fields}\r\n")

    proxy(serve)
    it = client()
    for _ in range(3):
        code, got, _ = it.get("/")
        assert str(code) == status[:3] and "transfer-encoding" not in got
        assert got.get("content-length") == ("77" if "77" in fields else None)


def test_head_has_the_length_and_no_body(proxy, client):
    def serve(_, line):
        while line.read():
            line.send("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")

    weir = proxy(serve)
    it = client()
    for _ in range(3):
        status, fields, body = it.get("/", method="HEAD")
        assert (status, fields["content-length"], body) == (200, "12345", b"")
    assert len(weir.upstream.lines) == 1
