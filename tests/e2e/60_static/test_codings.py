# SPDX-License-Identifier: GPL-2.0
"""Compressed representations: worker and XDP send the same bytes, and they are those of the file."""
import gzip
import os

import pytest

from static_pools import BROWSER, URL, config, get, hits, second_from_kernel

PAGE = b"".join(b"<p>line %d of a page that profits from being compressed</p>\n" % n for n in range(700))  # 44 kB


@pytest.fixture
def page(site):
    site.write("page.html", PAGE)
    return site


@pytest.mark.parametrize("accept, coding", [
    (BROWSER, "br"), ("gzip, deflate, br", "br"), ("gzip, zstd", "zstd"), ("gzip, deflate", "gzip"), ("gzip", "gzip"),
    ("deflate, gzip", "gzip")])
def test_second_answer_is_the_kernels(weir, page, accept, coding):
    w = weir("--root", page.path, "--listen", "127.0.0.1:8080")
    answer = second_from_kernel(w, "/page.html", accept_encoding=accept)
    assert answer.fields["content-encoding"] == coding
    assert answer.fields["vary"] == "Accept-Encoding"
    assert int(answer.fields["content-length"]) == len(answer.body) < len(PAGE) // 4
    assert answer.decoded == PAGE


def test_each_set_of_codings_has_its_own_entry(weir, site):
    site.write("page.html", PAGE[:6000])
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    tags = {}
    for accept, coding in ((BROWSER, "br"), ("gzip", "gzip"), ("zstd", "zstd"), ("", "")):
        answer = second_from_kernel(w, "/page.html", accept_encoding=accept)
        assert answer.fields.get("content-encoding", "") == coding
        assert answer.decoded == PAGE[:6000]
        tags[coding] = answer.fields["etag"]
    assert len(set(tags.values())) == 4 and not any(tag.startswith("W/") for tag in tags.values())
    # all four stay apart, whoever comes again
    before = hits(w)
    for accept, coding in (("gzip", "gzip"), (BROWSER, "br"), ("zstd", "zstd")):
        assert get(w, "/page.html", accept_encoding=accept).fields["etag"] == tags[coding]
    assert get(w, "/page.html").fields["etag"] == tags[""]
    assert hits(w) == before + 4


def test_curl_compressed(weir, page):
    w = weir("--root", page.path, "--listen", "127.0.0.1:8080")
    for _ in range(3):
        done = w.curl("--compressed", "-D", "-", f"{URL}/page.html").stdout.encode()
        head, _, body = done.partition(b"\n\n") if b"\r\n\r\n" not in done else done.partition(b"\r\n\r\n")
        assert b"ncoding: br" in head and body.replace(b"\r", b"") == PAGE
    for coding in ("gzip", "br", "zstd"):
        for _ in range(2):
            done = w.curl("--compressed", "-H", f"Accept-Encoding: {coding}", f"{URL}/page.html")
            assert done.stdout.encode() == PAGE
    assert hits(w) >= 5


@pytest.mark.parametrize("accept, coding", [
    ("gzip;q=1.0, br;q=0.5", "gzip"), ("br;q=0, gzip;q=0.1", "gzip"), ("*", "br"), ("identity", ""), ("gzip;q=0", "")])
def test_weights(weir, page, accept, coding):
    w = weir("--root", page.path, "--listen", "127.0.0.1:8080")
    for answer in (get(w, "/page.html", accept_encoding=accept) for _ in range(2)):
        assert answer.fields.get("content-encoding", "") == coding and answer.decoded == PAGE
    assert get(w, "/page.html", accept_encoding="identity;q=0, *;q=0").status == 406


def test_precompressed_variant_appears_changes_and_goes(weir, site):
    site.write("page.html", PAGE[:9000])
    variant = site.path / "page.html.gz"
    w = weir(config=config(site, "compress = off"))
    second_from_kernel(w, "/page.html", accept_encoding="gzip")

    def kernel_follows(decoded, coding):
        def is_new():
            answer = get(w, "/page.html", accept_encoding="gzip")
            return answer.decoded == decoded and answer.fields.get("content-encoding", "") == coding
        from harness.servers import wait_for
        wait_for("the change is seen", is_new)
        before = hits(w)
        answer = get(w, "/page.html", accept_encoding="gzip")
        assert (answer.decoded, hits(w)) == (decoded, before + 1)

    variant.write_bytes(gzip.compress(b"first"))
    kernel_follows(b"first", "gzip")
    variant.write_bytes(gzip.compress(b"the second one"))
    kernel_follows(b"the second one", "gzip")
    (site.path / "new").write_bytes(gzip.compress(b"renamed"))
    os.rename(site.path / "new", variant)
    kernel_follows(b"renamed", "gzip")
    # an older variant is that of an older original
    os.utime(variant, (1, 1))
    kernel_follows(PAGE[:9000], "")
    os.utime(variant)
    kernel_follows(b"renamed", "gzip")
    variant.unlink()
    kernel_follows(PAGE[:9000], "")
    site.write("page.html", b"another page")
    kernel_follows(b"another page", "")


def test_range_and_conditions_of_a_compressed_file(weir, page):
    w = weir("--root", page.path, "--listen", "127.0.0.1:8080")
    whole = get(w, "/page.html", accept_encoding="gzip")
    part = get(w, "/page.html", accept_encoding="gzip", range="bytes=100-199", if_range=whole.fields["etag"])
    assert (part.status, part.body) == (206, whole.body[100:200])
    assert part.fields["content-encoding"] == "gzip"
    same = get(w, "/page.html", accept_encoding="gzip", if_none_match=whole.fields["etag"])
    assert (same.status, same.body, same.fields["vary"]) == (304, b"", "Accept-Encoding")
    assert get(w, "/page.html", accept_encoding="br", if_none_match=whole.fields["etag"]).status == 200


def test_large_script_is_compressed_and_huge_one_is_not(weir, site):
    site.write("large.js", PAGE * 20)
    site.write("huge.js", PAGE * 110)  # 4.8 MB
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    for _ in range(2):
        answer = get(w, "/large.js", accept_encoding=BROWSER)
        assert answer.fields["content-encoding"] == "br" and answer.decoded == PAGE * 20
    before = hits(w)
    for _ in range(2):
        answer = get(w, "/huge.js", accept_encoding=BROWSER)
        assert "content-encoding" not in answer.fields and answer.body == PAGE * 110
    assert hits(w) == before


def test_everything_off(weir, page):
    page.write("small.html", PAGE[:3000])
    w = weir(config=config(page, "compress = off\nprecompressed = off"))
    answer = second_from_kernel(w, "/small.html", accept_encoding=BROWSER)
    assert answer.body == PAGE[:3000] and "vary" not in answer.fields


def test_hostile_accept_encoding(weir, page):
    w = weir("--root", page.path, "--listen", "127.0.0.1:8080")
    for value in ("gzip;q=" + "9" * 8000, ",".join(["*;q=0.5"] * 1500), "," * 12000, "\xff\xfe, gzip", "gzip;;;;q=1",
                  "br" * 6000):
        answer = get(w, "/page.html", accept_encoding=value)
        assert answer.status == 200 and answer.decoded == PAGE
    assert w.is_running
