# SPDX-License-Identifier: GPL-2.0
"""What is stored is served: whole, in part, to conditions; and what must not be is not."""
import pytest
from harness.servers import wait_for

from origin import DATE, Page

CHANGING = ("age", "date", "cache-status")


def same(fields):
    return {name: value for name, value in fields.items() if name not in CHANGING}


@pytest.mark.parametrize("size", [0, 100, 3000, 100_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_second_answer_is_the_first_one(cached, origin, client, size, chunked):
    weir, body = cached(), bytes(i * 7 % 251 for i in range(size))
    origin.pages["/a"] = Page(body, "Cache-Control: max-age=60\r\nX-Own: 1\r\n", etag='"v1"', chunked=chunked)
    c = client()
    status, first, got = c.get("/a")
    assert (status, got) == (200, body)
    for _ in range(4):
        status, fields, got = c.get("/a")
        assert (status, got) == (200, body)
        first.pop("transfer-encoding", None)
        first.setdefault("content-length", str(size))
        assert same(fields) == same(first)
        assert int(fields["age"]) <= 2
    assert origin.count("/a") == 1


def test_kernel_answers_what_it_can(cached, origin, client):
    weir = cached()
    origin.pages["/a"] = Page("hello", "Cache-Control: max-age=60\r\n")
    c = client()
    for _ in range(10):
        assert c.get("/a")[2] == b"hello"
    assert origin.count("/a") == 1
    if weir.has_kernel:
        assert weir.stat("kernel.hits") >= 7


def test_date_is_the_origins_and_age_goes_on(cached, origin, client):
    weir = cached()
    origin.pages["/a"] = Page("x", DATE + "Cache-Control: max-age=4000000000\r\nAge: 100\r\n")
    c = client()
    c.get("/a")
    for _ in range(3):
        status, fields, _ = c.get("/a")
        assert fields["date"] == "Sun, 06 Nov 1994 08:49:37 GMT"
        assert int(fields["age"]) > 900_000_000
    assert origin.count("/a") == 1


@pytest.mark.parametrize("fields", [
    "Cache-Control: no-store\r\n", "Cache-Control: private, max-age=60\r\n", "Cache-Control: max-age=0\r\n", "",
    "Cache-Control: max-age=60\r\nSet-Cookie: a=b\r\n", "Cache-Control: max-age=60\r\nVary: *\r\n",
    "Expires: 0\r\n",
])
def test_what_must_not_be_stored_is_not(cached, origin, client, fields):
    cached()
    origin.pages["/a"] = Page("x", fields)
    c = client()
    for _ in range(3):
        assert c.get("/a")[2] == b"x"
    assert origin.count("/a") == 3


def test_conditions_and_head(cached, origin, client):
    cached()
    origin.pages["/a"] = Page("hello", "Cache-Control: max-age=60\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                              etag='"v1"')
    c = client()
    c.get("/a")
    for _ in range(2):
        status, fields, body = c.get("/a", fields='If-None-Match: "v1"\r\n')
        assert (status, body, fields["etag"]) == (304, b"", '"v1"')
        assert c.get("/a", fields='If-None-Match: W/"v1", "v2"\r\n')[0] == 304
        assert c.get("/a", fields='If-None-Match: "v2"\r\n')[0] == 200
        assert c.get("/a", fields="If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n")[0] == 304
        assert c.get("/a", fields="If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n")[0] == 200
        status, fields, body = c.get("/a", method="HEAD")
        assert (status, fields["content-length"], body) == (200, "5", b"")
    assert origin.count("/a") == 1


def test_ranges_of_a_stored_response(cached, origin, client):
    cached()
    body = bytes(i * 13 % 256 for i in range(300_000))
    origin.pages["/a"] = Page(body, "Cache-Control: max-age=60\r\n", etag='"v1"')
    c = client()
    c.get("/a")
    for first, last in ((0, 0), (1, 5), (100_000, 250_000), (299_999, 299_999)):
        status, fields, got = c.get("/a", fields=f"Range: bytes={first}-{last}\r\n")
        assert (status, got) == (206, body[first:last + 1])
        assert fields["content-range"] == f"bytes {first}-{last}/300000"
    assert c.get("/a", fields="Range: bytes=-10\r\n")[2] == body[-10:]
    assert c.get("/a", fields="Range: bytes=300000-\r\n")[0] == 416
    assert c.get("/a", fields='Range: bytes=0-1\r\nIf-Range: "v1"\r\n')[0] == 206
    assert c.get("/a", fields='Range: bytes=0-1\r\nIf-Range: "v2"\r\n')[0] == 200
    assert origin.count("/a") == 1


def test_range_of_what_is_not_stored_yet(cached, origin, client):
    cached()
    body = bytes(range(256)) * 40
    origin.pages["/a"] = Page(body, "Cache-Control: max-age=60\r\n")
    c = client()
    status, _, got = c.get("/a", fields="Range: bytes=5-9\r\n")
    assert (status, got) == (206, body[5:10])
    assert c.get("/a")[2] == body
    assert origin.count("/a") == 1


def test_variants(cached, origin, client):
    cached()
    origin.pages["/a"] = lambda r: Page(r.get("accept-language", "none"),
                                        "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n")
    c = client()
    for _ in range(3):
        for language in ("de", "en", "fr"):
            assert c.get("/a", fields=f"Accept-Language: {language}\r\n")[2] == language.encode()
        assert c.get("/a")[2] == b"none"
    assert origin.count("/a") == 4


def test_codings(cached, origin, client):
    cached()
    def page(r):
        coding = "gzip" if "gzip" in r.get("accept-encoding", "") else None
        return Page(coding or "plain", "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n" +
                    (f"Content-Encoding: {coding}\r\n" if coding else ""))
    origin.pages["/a"] = page
    c = client()
    for _ in range(4):
        assert c.get("/a", fields="Accept-Encoding: gzip\r\n")[2] == b"gzip"
        assert c.get("/a", fields="Accept-Encoding: br\r\n")[2] == b"plain"
        assert c.get("/a")[2] == b"plain"
    assert origin.count("/a") == 3


def test_negative_answers_and_redirects(cached, origin, client):
    cached()
    origin.pages["/gone"] = Page("gone", "Cache-Control: max-age=60\r\n", status="404 Not Found")
    origin.pages["/moved"] = Page("", "Cache-Control: max-age=60\r\nLocation: /there\r\n", status="301 Moved Permanently")
    origin.pages["/found"] = Page("", "Location: /there\r\n", status="302 Found")
    c = client()
    for _ in range(3):
        assert c.get("/gone")[0] == 404
        status, fields, _ = c.get("/moved")
        assert (status, fields["location"]) == (301, "/there")
        assert c.get("/found")[0] == 302
    assert (origin.count("/gone"), origin.count("/moved"), origin.count("/found")) == (1, 1, 3)


def test_request_directives(cached, origin, client):
    cached()
    origin.pages["/a"] = Page("x", "Cache-Control: max-age=60\r\n", etag='"v1"')
    c = client()
    assert c.get("/b", fields="Cache-Control: only-if-cached\r\n")[0] == 504
    c.get("/a")
    assert c.get("/a", fields="Cache-Control: only-if-cached\r\n")[0] == 200
    assert c.get("/a", fields="Cache-Control: no-cache\r\n")[:1] == (200,)
    assert origin.requests[-1].get("if-none-match") == '"v1"'
    assert origin.count("/a") == 2
    assert c.get("/a", fields="Pragma: no-cache\r\n")[0] == 200
    assert origin.count("/a") == 3
    assert c.get("/c", fields="Cache-Control: no-store\r\n")[0] == 404


def test_request_directives_are_ignored_when_told_so(cached, origin, client):
    cached("cache_ignore_request = on")
    origin.pages["/a"] = Page("x", "Cache-Control: max-age=60\r\n", etag='"v1"')
    c = client()
    for _ in range(3):
        assert c.get("/a", fields="Cache-Control: no-cache\r\n")[0] == 200
    assert origin.count("/a") == 1


def test_cookies_bypass(cached, origin, client):
    cached('cache_bypass_cookies = {"session"}')
    origin.pages["/a"] = lambda r: Page(r.get("cookie", "nobody"), "Cache-Control: max-age=60\r\n")
    c = client()
    for _ in range(3):
        assert c.get("/a")[2] == b"nobody"
        assert c.get("/a", fields="Cookie: session=1\r\n")[2] == b"session=1"
        assert c.get("/a", fields="Cookie: other=1\r\n")[2] == b"nobody"
    assert origin.count("/a") == 4


def test_key_has_what_is_listed_of_the_query(cached, origin, client):
    cached('cache_key_query = listed\ncache_key_params = {"p"}')
    for target in ("/a?p=1&x=1", "/a?p=2&x=2"):
        origin.pages[target] = Page(target, "Cache-Control: max-age=60\r\n")
    c = client()
    assert c.get("/a?p=1&x=1")[2] == b"/a?p=1&x=1"
    assert c.get("/a?x=9&p=1")[2] == b"/a?p=1&x=1"
    assert c.get("/a?p=2&x=2")[2] == b"/a?p=2&x=2"


def test_ttl_and_min_hits(cached, origin, client):
    cached("cache = ttl\ncache_ttl = 60s\ncache_min_hits = 2")
    origin.pages["/a"] = Page("x")
    c = client()
    for _ in range(5):
        assert c.get("/a")[2] == b"x"
    assert origin.count("/a") == 2


def test_cache_is_off(cached, origin, client):
    cached("cache = off")
    origin.pages["/a"] = Page("x", "Cache-Control: max-age=60\r\n")
    c = client()
    for _ in range(3):
        assert c.get("/a")[2] == b"x"
    assert origin.count("/a") == 3


def test_cache_status_says_who_and_why(cached, origin, client):
    weir = cached("cache_status = on")
    origin.pages["/a"] = Page("x" * 50_000, "Cache-Control: max-age=60\r\n")
    c = client()
    assert c.get("/a")[1]["cache-status"] == "weir-memory; fwd=miss; stored"
    assert c.get("/a")[1]["cache-status"].startswith("weir-memory; hit; ttl=")


def test_authorization(cached, origin, client):
    cached()
    origin.pages["/a"] = lambda r: Page(r.get("authorization", "nobody"), "Cache-Control: max-age=60\r\n")
    c = client()
    assert c.get("/a", fields="Authorization: Basic a\r\n")[2] == b"Basic a"
    assert c.get("/a", fields="Authorization: Basic b\r\n")[2] == b"Basic b"
    assert c.get("/a")[2] == b"nobody"
    assert origin.count("/a") == 3
