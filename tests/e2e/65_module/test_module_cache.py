# SPDX-License-Identifier: GPL-2.0
"""What a module offers to the kernel cache is answered there until it expires or is purged."""
import http.client
import time

import pytest

from harness import servers
from moduling import BROWSER, checksum, chunked, letters, noise


def hits(it):
    return it.weir.stat("kernel.hits")


def warm(it, path, connection=None):
    """Asks until the kernel answers; the body."""
    c = connection or it.connect()

    def is_hit():
        before = hits(it)
        status, body = it.get(path, c, BROWSER)
        assert status == 200
        return hits(it) > before and body

    return servers.wait_for(f"{path} is a kernel hit", is_hit)


def misses(it, path, tries=5):
    """Whether the kernel leaves it to the module each time."""
    before = hits(it)
    c = it.connect()
    for _ in range(tries):
        assert it.get(path, c, BROWSER)[0] == 200
    return hits(it) == before


def test_response_is_kept_until_purged(module):
    it = module()
    body = warm(it, "/cache/one")
    assert it.get("/cache/one", headers=BROWSER)[1] == body
    other = warm(it, "/cache/two")
    assert it.get("/purge/tag?one") == (200, b"1\n")
    fresh = warm(it, "/cache/one")
    assert fresh != body and it.get("/cache/two", headers=BROWSER)[1] == other, "the other tag is left alone"
    assert it.get("/purge/tag?all") == (200, b"2\n")
    assert it.get("/cache/two", headers=BROWSER)[1] != other
    assert it.get("/purge/tag?nothing") == (200, b"0\n")


@pytest.mark.parametrize("url", ["/m/cache/page?a=1", "http://127.0.0.1/m/cache/page?a=1",
                                 "HTTP://127.0.0.1:8080/m/cache/page?a=1"])
def test_purge_by_url(module, url):
    it = module()
    body, other = warm(it, "/cache/page?a=1"), warm(it, "/cache/page?a=2")
    assert it.get(f"/purge/url?{url}") == (200, b"1\n")
    assert it.get("/cache/page?a=1", headers=BROWSER)[1] != body
    assert it.get("/cache/page?a=2", headers=BROWSER)[1] == other
    assert it.get("/purge/url?http://other.test/m/cache/page?a=2") == (200, b"0\n")
    assert it.get("/purge/url?page") == (200, b"-22\n")
    assert it.get("/purge/tag")[0] == 200 and it.get("/cache/page?a=2", headers=BROWSER)[1] != other


def test_purge_takes_the_page_of_every_coding(module):
    it = module()
    bodies = {}
    for codings in ("gzip", "br", "gzip, br"):
        c = it.connect()

        def is_hit(codings=codings, c=c):
            before = hits(it)
            bodies[codings] = it.get("/cache/codings", c, {"Accept-Encoding": codings})[1]
            return hits(it) > before

        servers.wait_for(f"a hit for {codings}", is_hit)
    assert it.get("/purge/tag?codings") == (200, b"1\n")
    for codings, body in bodies.items():
        assert it.get("/cache/codings", headers={"Accept-Encoding": codings})[1] != body


def test_response_with_a_time_to_live_expires(module):
    it = module()
    body = warm(it, "/ttl/2")
    servers.wait_for("it expires", lambda: it.get("/ttl/2", headers=BROWSER)[1] != body, timeout=8)
    assert warm(it, "/ttl/2") != body, "and is kept anew"
    body = warm(it, "/ttl/100")
    time.sleep(2.5)
    assert it.get("/ttl/100", headers=BROWSER)[1] == body


def test_what_is_not_for_everybody_is_not_kept(module):
    it = module()
    for path in ("/cache/cookie", "/cache/private", "/pid", "/bytes/20000"):
        assert misses(it, path), path
    for method, headers in (("POST", BROWSER), ("GET", {**BROWSER, "Authorization": "Basic eDp5"})):
        for _ in range(3):
            assert it.ask(method, "/cache/auth", headers=headers)[0] == 200
    before = it.stats()["published"]
    assert it.get("/cache/auth", headers=BROWSER)[0] == 200
    servers.wait_for("only the plain one is published", lambda: it.stats()["published"] == before + 1)


def test_recycled_worker_forgets_and_purges(module):
    """While two workers live, a purge in one takes what the other has published."""
    it = module("threads = 4")
    old, body = it.wait_worker(), warm(it, "/cache/page")
    with it.load() as load:
        load.open(1).go("/m/sleep/3000", count=1)
        servers.wait_for("it is in flight", lambda: it.stats()["threads_busy"] == 1)
        it.weir.command("pool", "recycle", "probe")
        it.wait_worker(other_than=(old,))
        assert it.get("/purge/tag?page")[0] == 200
        assert it.get("/cache/page", headers=BROWSER)[1] != body, "the old worker's page is gone"
        assert load.wait()["ok"] == 1
    warm(it, "/cache/page")


def test_purge_reaches_every_worker_of_a_garden(module):
    it = module("slots = 2")
    seen = set()
    for n in range(200):
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = it.socket()
        seen.add(it.get(f"/cache/page{n % 4}", connection, BROWSER)[1])
    bodies = {n: warm(it, f"/cache/page{n}") for n in range(4)}
    assert it.get("/purge/tag?page0")[0] == 200
    before = it.stats()["requests"]
    for n in bodies:
        assert it.get(f"/cache/page{n}", headers=BROWSER)[0] == 200
    assert it.stats()["requests"] >= before + 4, "with siblings a purge takes everything"


@pytest.mark.parametrize("before", ["length", "chunks", "stream"])
def test_connection_goes_back_to_the_kernel_after_a_body(module, before):
    """Every byte of bodies and of streamed responses is counted, else the kernel could not take the connection over."""
    it = module()
    body = warm(it, "/cache/page")
    servers.wait_for("warm()'s connection was taken back", lambda: it.stats()["recalled"] == 1)
    c = it.connect()
    for n in range(2, 7):
        if before == "stream":
            assert it.get("/bytes/100000", c) == (200, letters(100_000))
        else:
            data = noise(70_000)
            sent = {"chunks": chunked(data[:7], data[7:]), "length": data}[before]
            fields = {"Transfer-Encoding": "chunked"} if before == "chunks" else {}
            answer = f"{len(data)} {checksum(data)}\n".encode()
            assert it.ask("POST", "/count/0", sent, fields, c)[:2] == (200, answer)
        assert it.get("/cache/page", c, BROWSER) == (200, body)
        servers.wait_for("the connection was taken back", lambda n=n: it.stats()["recalled"] == n)
    assert it.stats()["accepted"] == 6, "lent anew each time, and once by warm()"
