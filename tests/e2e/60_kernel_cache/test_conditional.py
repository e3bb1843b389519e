# SPDX-License-Identifier: GPL-2.0
"""Conditional requests, HEAD and reloads that XDP answers, for files of any size."""
import pytest

from caching import value, without
from harness import servers
from harness.servers import wait_for

LARGE = 10_000_000


@pytest.fixture
def large(caching):
    caching.site.write("ten.bin", b"0123456789" * (LARGE // 10))
    return "/ten.bin"


def by_kernel(caching, *names):
    """(answers of the kernel, of these 304, requests to workers) since now, as a function."""
    before = caching.count("hits", "not_modified", "requests")
    return lambda: tuple(b - a for a, b in zip(before, caching.count("hits", "not_modified", "requests")))


@pytest.mark.parametrize("name", ["small.txt", "medium.txt", "large.txt", "huge.bin"])
def test_304_of_the_kernel_is_the_workers(caching, name):
    first = caching.warm(f"/{name}")
    assert first.status == 200 and first.body == caching.site.files[name]
    etag, modified = value(first, "ETag"), value(first, "Last-Modified")
    # a list of tags is a worker's
    worker = caching.ask(f"/{name}", If_None_Match=f'"x", {etag}')
    moved = by_kernel(caching)
    answers = [caching.ask(f"/{name}", If_None_Match=etag), caching.ask(f"/{name}", If_None_Match=f"W/{etag}"),
               caching.ask(f"/{name}", If_Modified_Since=modified),
               caching.ask(f"/{name}", If_None_Match=etag, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT")]
    assert moved() == (4, 4, 0)
    for answer in answers:
        assert (answer.status, answer.body) == (worker.status, worker.body) == (304, b"")
        assert without(answer.fields, "Date") == without(worker.fields, "Date")
        assert value(answer, "Date")


def test_10_mb_are_304_and_head_by_xdp(caching, large):
    first = caching.warm(large)
    assert len(first.body) == LARGE
    moved = by_kernel(caching)
    connection = caching.connect()
    for _ in range(20):
        assert caching.ask(large, connection, If_None_Match=value(first, "ETag")).status == 304
    head = caching.ask(large, connection, "HEAD")
    assert (head.status, value(head, "Content-Length")) == (200, str(LARGE))
    assert without(head.fields, "Date") == without(first.fields, "Date")
    assert moved() == (21, 20, 0)
    out = caching.curl(large, "-H", f"If-None-Match: {value(first, 'ETag')}")
    assert out.startswith("HTTP/1.1 304 ") and out.endswith("\n\n")
    assert moved() == (22, 21, 0)
    # the body is a worker's, on the same connection
    assert caching.ask(large, connection).body == caching.site.files["ten.bin"]
    wait_for("the worker has counted it", lambda: moved() == (22, 21, 1))


def test_changed_file_is_sent_to_who_has_the_old_one(caching, large):
    for name in (large, "/small.txt"):
        etag = value(caching.warm(name), "ETag")
        assert caching.ask(name, If_None_Match=etag).status == 304
        caching.site.write(name[1:], b"now this is in it\n")
        wait_for("the change is noticed", lambda: caching.ask(name, If_None_Match=etag).status == 200)
        answer = caching.ask(name, If_None_Match=etag)
        assert answer.body == b"now this is in it\n"
        assert caching.ask(name, If_None_Match=value(answer, "ETag")).status == 304


def test_other_tag_gets_the_file_from_the_kernel(caching):
    caching.warm("/small.txt")
    moved = by_kernel(caching)
    answer = caching.ask("/small.txt", If_None_Match='"another"')
    assert (answer.status, answer.body) == (200, caching.site.files["small.txt"])
    assert moved() == (1, 0, 0)


def test_reload_is_answered_by_the_kernel(caching):
    """Static pools ignore what requests say of caches: a file in the cache is the file on disk."""
    etag = value(caching.warm("/small.txt"), "ETag")
    moved = by_kernel(caching)
    answer = caching.ask("/small.txt", Cache_Control="max-age=0")
    assert (answer.status, answer.body) == (200, caching.site.files["small.txt"])
    assert caching.ask("/small.txt", Cache_Control="no-cache", Pragma="no-cache").status == 200
    assert caching.ask("/small.txt", Cache_Control="max-age=0", If_None_Match=etag).status == 304
    assert moved() == (3, 1, 0)


def is_hit(caching, codings):
    before = caching.count("hits")
    caching.ask("/small.txt", Accept_Encoding=codings)
    return caching.count("hits") > before


@pytest.mark.parametrize("codings", ["gzip, deflate, br, zstd", "identity", "br;q=0",
                                     "gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "br, zstd, gzip;q=0.5, *;q=0.1"])
def test_codings_with_weights_are_answered_by_the_kernel(caching, codings):
    caching.warm("/small.txt")
    servers.wait_for("the kernel has it for these codings", lambda: is_hit(caching, codings))
    moved = by_kernel(caching)
    assert caching.ask("/small.txt", Accept_Encoding=codings).body == caching.site.files["small.txt"]
    assert moved() == (1, 0, 0)


def test_list_shows_what_an_entry_is(caching, large):
    first, small = caching.warm(large), caching.warm("/small.txt")
    row = caching.entry(large)
    assert row["head_only"] and row["conditional"] and row["etag"] == value(first, "ETag")
    assert row["last_modified"] == value(first, "Last-Modified") and row["class"] == "S"
    assert row["size"] > LARGE and row["expires"] is None and row["stale_until"] is None
    row = caching.entry("/small.txt")
    assert not row["head_only"] and row["etag"] == value(small, "ETag")
    table = caching.weir.command("cache", "list").stdout
    assert value(first, "ETag") in table and "S (head)" in table and "on change" in table
    why = caching.weir.command("why", f"http://weir.test:8080{large}").stdout
    assert "head only" in why and "too large for the kernel cache" in why
