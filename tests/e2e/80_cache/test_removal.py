# SPDX-License-Identifier: GPL-2.0
"""Purges by URL, prefix, tag, pool and method; unsafe requests; explanations."""
import concurrent.futures
import json
import threading
import time

import pytest
from harness.servers import wait_for

from origin import PORT, Client, Page

URL = f"http://weir.test:{PORT}"


def warm(origin, c, targets, fields=""):
    for target in targets:
        origin.pages[target] = Page(f"old {target}", "Cache-Control: max-age=600\r\n" + fields)
        for _ in range(3):
            assert c.get(target)[2] == f"old {target}".encode()
        assert origin.count(target) == 1
        origin.pages[target] = Page(f"new {target}", "Cache-Control: max-age=600\r\n" + fields)
        assert c.get(target)[2] == f"old {target}".encode()


def is_new(c, target):
    return c.get(target)[2] == f"new {target}".encode()


def test_purge_url(cached, origin, client):
    weir, c = cached(), client()
    warm(origin, c, ("/a", "/b"))
    out = weir.command("cache", "purge", f"{URL}/a").stdout
    assert "removed" in out and not out.startswith("0")
    assert is_new(c, "/a") and not is_new(c, "/b")
    weir.command("cache", "purge", "/b")
    assert is_new(c, "/b")


def test_purge_prefix(cached, origin, client):
    weir, c = cached(), client()
    warm(origin, c, ("/x/a", "/x/b?c=1", "/y"))
    weir.command("cache", "purge", "--prefix", f"{URL}/x/")
    assert is_new(c, "/x/a") and is_new(c, "/x/b?c=1") and not is_new(c, "/y")


def test_purge_tag(cached, origin, client):
    weir, c = cached(), client()
    warm(origin, c, ("/a",), "Cache-Tag: news, sport\r\n")
    warm(origin, c, ("/b",), "Surrogate-Key: news front\r\n")
    warm(origin, c, ("/c",), "Cache-Tag: newspaper\r\n")
    status, fields, _ = c.get("/a")
    assert "cache-tag" not in fields
    weir.command("cache", "purge", "--tag", "news")
    assert is_new(c, "/a") and is_new(c, "/b") and not is_new(c, "/c")
    assert weir.command("cache", "purge", "--tag", "a b", check=False).returncode != 0


def test_tags_are_shown_when_told_so(cached, origin, client):
    cached("cache_show_tags = on")
    origin.pages["/a"] = Page("x", "Cache-Control: max-age=600\r\nCache-Tag: news\r\n")
    c = client()
    assert [c.get("/a")[1]["cache-tag"] for _ in range(3)] == ["news"] * 3


def test_flush_pool(cached, origin, client):
    weir, c = cached(), client()
    warm(origin, c, ("/a", "/b"))
    weir.command("cache", "flush", "app")
    assert is_new(c, "/a") and is_new(c, "/b")


def test_purge_method(cached, origin, client):
    cached('cache_purge_from = {"127.0.0.0/8"}')
    c = client()
    warm(origin, c, ("/a",))
    status, _, body = c.get("/a", method="PURGE")
    assert status == 200 and b"1 removed" in body
    assert is_new(c, "/a")


def test_purge_method_is_not_for_everybody(cached, origin, client):
    cached('cache_purge_from = {"10.0.0.0/8"}')
    c = client()
    warm(origin, c, ("/a",))
    assert c.get("/a", method="PURGE")[0] == 403
    assert not is_new(client(), "/a")


def test_purge_method_is_the_applications_by_default(cached, origin, client):
    cached()
    origin.pages["/a"] = lambda r: Page(r.method)
    assert client().get("/a", method="PURGE")[2] == b"PURGE"


@pytest.mark.parametrize("method, status, forgets", [
    ("POST", "200 OK", True), ("PUT", "204 No Content", True), ("DELETE", "303 See Other", True), ("PATCH", "200 OK", True),
    ("POST", "404 Not Found", False), ("OPTIONS", "200 OK", False),
])
def test_unsafe_requests_invalidate(cached, origin, client, method, status, forgets):
    cached()
    c = client()
    warm(origin, c, ("/a",))
    page = origin.pages["/a"]
    origin.pages["/a"] = lambda r: Page(b"", status=status) if r.method == method else page
    c.get("/a", method=method)
    assert is_new(client(), "/a") == forgets


def test_location_of_an_unsafe_response_is_invalidated(cached, origin, client):
    cached()
    c = client()
    warm(origin, c, ("/list", "/other"))
    origin.pages["/new"] = Page("made", status="201 Created",
                                fields=f"Location: /list\r\nContent-Location: http://elsewhere/other\r\n")
    c.get("/new", method="POST")
    assert is_new(c, "/list") and not is_new(c, "/other")


def test_purge_during_a_fetch_keeps_the_old_response_out(cached, origin, netns, client):
    weir = cached()
    gate = threading.Event()
    origin.pages["/a"] = Page("old", "Cache-Control: max-age=600\r\n", gate=gate)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: client().get("/a")[2])
        wait_for("the origin is asked", lambda: origin.count("/a"))
        weir.command("cache", "purge", f"{URL}/a")
        origin.pages["/a"] = Page("new", "Cache-Control: max-age=600\r\n")
        # who comes after the purge does not wait for what was asked before
        assert client().get("/a")[2] == b"new"
        gate.set()
        assert first.result() == b"old"
    for _ in range(3):
        assert client().get("/a")[2] == b"new"


def test_nothing_old_after_a_purge_under_load(cached, origin, netns):
    weir = cached("slots = 2")
    version, answers, failures, stop = [0], [0], [], threading.Event()
    origin.pages["/a"] = lambda r: Page(f"{version[0]}", "Cache-Control: max-age=600\r\n")

    def ask():
        c = Client(netns)
        while not stop.is_set():
            least = version_purged[0]
            status, _, body = c.get("/a")
            answers[0] += 1
            if status != 200 or int(body) < least:
                failures.append((status, body, least))
        c.close()

    version_purged = [0]
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    for n in range(1, 30):
        version[0] = n
        weir.command("cache", "purge", f"{URL}/a")
        version_purged[0] = n
    stop.set()
    for t in threads:
        t.join()
    assert not failures, failures[:5]
    assert answers[0] > 1000 and origin.count("/a") < answers[0] / 2


# --- explanations ---

def test_show_and_why(cached, origin, client):
    weir, c = cached('cache_bypass_cookies = {"session"}'), client()
    origin.pages["/a"] = Page("hello", "Cache-Control: max-age=600, stale-while-revalidate=5\r\nCache-Tag: t1\r\n"
                                       "Vary: Accept-Language\r\n", etag='"v1"')
    origin.pages["/private"] = Page("x", "Cache-Control: private\r\n")
    origin.pages["/cookie"] = Page("x", "Cache-Control: max-age=5\r\nSet-Cookie: a=b\r\n")
    for target in ("/a", "/a", "/private", "/cookie"):
        c.get(target)
    shown = json.loads(weir.command("cache", "show", "--json", f"{URL}/a").stdout)["objects"]
    assert len(shown) == 1
    o = shown[0]
    assert (o["key"], o["pool"], o["status"], o["tags"], o["vary"]) == ("weir.test/a", "app", 200, "t1",
                                                                        "accept-language")
    assert 590 <= o["fresh_for"] <= 600 and o["lifetime_from"] == "max-age" and o["hits"] == 1
    assert "weir.test/a" in weir.command("cache", "show", f"{URL}/a").stdout
    assert "weir.test/a" in weir.command("cache", "list").stdout
    assert "nothing is stored" in weir.command("cache", "show", f"{URL}/none").stdout

    def why(target, *headers):
        words = [w for h in headers for w in ("--header", h)]
        return weir.command("why", *words, f"{URL}{target}").stdout

    assert "RFC 9111 5.2.2.7" in why("/private")
    assert "RFC 9111 7.3" in why("/cookie")
    assert "nobody has asked for it" in why("/none")
    assert "stored     weir.test/a" in why("/a")
    assert "RFC 9111 5.2.1.4" in why("/a", "Cache-Control: no-cache")
    assert "nothing is stored" in why("/a", "Accept-Language: de")
    assert "cache_bypass_cookies" in why("/a", "Cookie: session=1")
    assert weir.command("why", "--header", "no field", f"{URL}/a", check=False).returncode != 0


def test_counters(cached, origin, client):
    weir, c = cached(), client()
    origin.pages["/a"] = Page("x" * 30000, "Cache-Control: max-age=600\r\n")
    for _ in range(4):
        c.get("/a")
    m = weir.stat("pools.app.memory")
    assert (m["objects"], m["stored"], m["hits"], m["misses"], m["fills"]) == (1, 1, 3, 1, 0)
    assert 30000 < m["bytes_used"] <= m["bytes_budget"] == 64 << 20
