# SPDX-License-Identifier: GPL-2.0
"""What RFC 9110 asks of an intermediary: hop-by-hop fields, Forwarded, Via, 1xx, Expect, retries, Upgrade."""
import threading

import pytest

from harness.servers import wait_for
from upstreams import echo, once, wait_log

OK = b"HTTP/1.1 200 OK\r\n"


def test_hop_by_hop_fields_of_a_request_end_here(proxy, client):
    weir = proxy(echo)
    client().get("/", fields="Connection: x-one, keep-alive\r\nConnection: X-Two\r\nX-One: 1\r\nX-Two: 2\r\n"
                 "X-Three: 3\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: trailers, gzip\r\n"
                 "Upgrade: h2c\r\nTrailer: X\r\n")
    seen = weir.upstream.requests[0]
    assert seen.get("x-three") == "3"
    for name in ("x-one", "x-two", "keep-alive", "proxy-connection", "upgrade", "trailer"):
        assert seen.get(name) is None, name
    assert seen.get("te") == "trailers" and seen.get("connection") == "TE"


def test_hop_by_hop_fields_of_a_response_end_here(proxy, client):
    proxy(once(OK + b"Connection: X-One\r\nX-One: 1\r\nX-Two: 2\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n"
               b"Server: other\r\nVia: 1.0 deep\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"))
    _, fields, _ = client().get("/")
    assert fields["x-two"] == "2" and fields["server"] == "other" and fields["via"] == "1.0 deep, 1.1 weir"
    assert fields["date"] == "Thu, 01 Jan 1970 00:00:00 GMT" and fields["connection"] == "keep-alive"
    assert not {"x-one", "keep-alive", "upgrade"} & set(fields)


@pytest.mark.parametrize("mode", ["append", "replace", "off"])
def test_forwarded(proxy, client, mode):
    weir = proxy(echo, lines=f"forwarded = {mode}")
    client().get("/", fields="X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nForwarded: for=1.2.3.4\r\n"
                 "X-Forwarded-Proto: https\r\nVia: 1.1 first\r\n")
    seen = weir.upstream.requests[0]
    ours = 'for=127.0.0.1;host="weir.test";proto=http'
    assert seen.get("via") == "1.1 first, 1.1 weir"
    assert seen.get("x-forwarded-for") == {"append": "1.2.3.4, 5.6.7.8, 127.0.0.1", "replace": "127.0.0.1",
                                           "off": "1.2.3.4, 5.6.7.8"}[mode]
    assert seen.get("forwarded") == {"append": "for=1.2.3.4, " + ours, "replace": ours, "off": "for=1.2.3.4"}[mode]
    assert seen.get("x-forwarded-proto") == ("https" if mode == "off" else "http")


def test_fields_that_are_set_or_taken_away(proxy, client):
    def serve(upstream, line):
        upstream.requests.append(line.read())
        line.answer("ok", fields="X-Powered-By: secret\r\nServer: inner\r\nX-Keep: 1\r\n")

    weir = proxy(serve, lines='upstream_headers = { "X-Key: abc", "cookie:", "X-Forwarded-Proto: https" }\n'
                 'response_headers = { "X-Powered-By:", "Server: outer", "X-Frame-Options: DENY" }\nforwarded = off')
    _, fields, _ = client().get("/", fields="Cookie: a=b\r\nX-Key: mine\r\nX-Other: 1\r\n")
    seen = weir.upstream.requests[0]
    assert (seen.get("x-key"), seen.get("cookie"), seen.get("x-other")) == ("abc", None, "1")
    assert seen.get("x-forwarded-proto") == "https"
    assert "x-powered-by" not in fields and fields["server"] == "outer"
    assert (fields["x-frame-options"], fields["x-keep"]) == ("DENY", "1")


def test_upstream_host_and_strip_prefix(proxy, client):
    weir = proxy(echo, lines='upstream_host = "inner.example"\nstrip_prefix = on', path="/app/")
    client().get("/app/x%20y/z?q=%2F")
    assert weir.upstream.requests[0].target == "/x%20y/z?q=%2F"
    assert weir.upstream.requests[0].get("host") == "inner.example"
    client().get("/app/")
    assert weir.upstream.requests[1].target == "/"


@pytest.mark.parametrize("sent, seen", [("/a/../b/./c", "/b/c"), ("/%2e%2e/x", "/x"), ("/a%20b", "/a%20b"),
                                        ("/a//b", "/a//b"), ("http://other.test/abs?x", "/abs?x")])
def test_target_means_the_same_there(proxy, client, sent, seen):
    weir = proxy(echo)
    assert client().get(sent)[0] == 200
    assert weir.upstream.requests[0].target == seen
    assert weir.upstream.requests[0].get("host") == ("other.test" if "other" in sent else "weir.test")


def test_interim_responses_are_passed_on(proxy, client):
    proxy(once(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"))
    it = client()
    it.request("/")
    assert it.head() == (103, {"link": "</a.css>"})
    assert it.response()[2] == b"ok"
    status, _, body = it.get("/", version="1.0")
    assert (status, body) == (200, b"ok"), "no interim response for HTTP/1.0"


def test_expect_continue_is_the_upstreams_to_answer(proxy, client):
    def serve(_, line):
        request = line.read_head()
        assert request.get("expect") == "100-continue"
        line.send("HTTP/1.1 100 Continue\r\n\r\n")
        line.answer(b"".join(line.body_pieces(request)))

    proxy(serve)
    it = client()
    it.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert it.head()[0] == 100
    it.send(b"hello")
    assert it.response()[2] == b"hello"


def test_expect_continue_refused_by_the_upstream(proxy, client):
    def serve(_, line):
        line.read_head()
        line.answer("no", status="417 Expectation Failed")

    proxy(serve)
    it = client()
    it.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    status, fields, body = it.response()
    assert (status, body, fields["connection"]) == (417, b"no", "close")


def closes_once(served):
    """Reads one request a connection; the first time it closes without a word after `served` good answers."""
    def serve(upstream, line):
        for n in range(served if line.number == 0 else 1000):
            request = line.read()
            if not request:
                return
            upstream.requests.append(request)
            line.answer(f"{line.number}")
        line.read()

    return serve


def test_stale_connection_is_replaced_without_a_trace(proxy, client):
    weir = proxy(closes_once(3), lines="retries = 0")
    it = client()
    assert [it.get("/")[2] for _ in range(5)] == [b"0", b"0", b"0", b"1", b"1"]
    assert "warning" not in weir.log


def test_post_is_not_repeated(proxy, client):
    weir = proxy(closes_once(1))
    it = client()
    assert it.get("/")[2] == b"0"
    assert it.get("/", method="POST", body=b"x")[0] == 502
    assert it.get("/")[2] == b"1"
    wait_log(weir, "closed the connection before its response", "POST")


@pytest.mark.parametrize("method, status", [("GET", 200), ("PUT", 200), ("POST", 502)])
def test_next_server_where_it_is_safe(proxy, client, method, status):
    weir = proxy(once(b""), echo, lines="max_fails = 0")
    it = client()
    got = [it.get("/", method=method, body=b"x" if method != "GET" else b"")[0] for _ in range(4)]
    assert sorted(set(got)) == [200] if status == 200 else 502 in got and 200 in got
    assert weir


def test_refused_connection_is_tried_elsewhere_with_any_method(proxy, client, upstream):
    gone = upstream(echo)
    gone.close()
    proxy(gone, echo)
    it = client()
    for _ in range(6):
        assert it.get("/", method="POST", body=b"x")[0] == 200


def test_max_conns(proxy, client, upstream):
    go = threading.Event()

    def serve(up, line):
        while line.read():
            up.requests.append(1)
            go.wait(10)
            line.answer("ok")

    weir = proxy(upstream(serve).address + " max_conns=2")
    busy = [client().request("/") for _ in range(2)]
    it = client()
    wait_for("both are there", lambda: it.get("/")[0] == 503)
    go.set()
    assert [b.response()[2] for b in busy] == [b"ok"] * 2
    assert it.get("/")[0] == 200
    assert weir


def tunnel(upstream, line):
    request = line.read()
    upstream.requests.append(request)
    line.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ")
    while data := line.file.read1(65536):
        line.send(data)
    line.send("bye")


def test_upgrade_becomes_a_tunnel(proxy, client):
    weir = proxy(tunnel)
    it = client()
    it.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ")
    status, fields = it.head()
    assert (status, fields["upgrade"], fields["connection"]) == (101, "echo", "upgrade")
    assert weir.upstream.requests[0].get("upgrade") == "echo"
    assert weir.upstream.requests[0].get("connection") == "upgrade"
    assert it.file.read(12) == b"hello early "
    for n in range(100):
        it.send(b"%05d" % n)
        assert it.file.read(5) == b"%05d" % n
    it.sock.shutdown(1)
    assert it.file.read() == b"bye"


def test_tunnel_that_is_idle_is_ended(proxy, client):
    proxy(tunnel, lines="tunnel_timeout = 400ms")
    it = client()
    it.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert it.head()[0] == 101
    assert it.file.read(6) == b"hello "
    assert it.is_closed()


def test_upgrade_that_the_upstream_ignores(proxy, client):
    proxy(echo)
    it = client()
    for _ in range(2):
        assert it.get("/", fields="Connection: upgrade\r\nUpgrade: websocket\r\n")[0] == 200
