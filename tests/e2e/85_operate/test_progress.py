# SPDX-License-Identifier: GPL-2.0
"""weir cache preload and weir bench: what they do, what they say, and the progress bar on a terminal."""
import json
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "80_cache"))

from instance import PROGRAM, WAIT_SECONDS, run
from origin import Origin, Page, config
from test_top import Terminal

BASE = "http://weir.test:8080"
KEPT = "Cache-Control: max-age=600\r\n"


@pytest.fixture
def origin(netns):
    it = Origin(netns)
    yield it
    it.close()


@pytest.fixture
def instance(weir, netns, origin):
    return weir(netns=netns, config=config([origin]))


def command(instance, *words, check=True):
    return run(*instance.netns.argv(str(PROGRAM), *map(str, words), "--control", str(instance.control)), check=check)


def preload(instance, source, *words, check=True):
    return json.loads(command(instance, "cache", "preload", source, "--json", *words, check=check).stdout)


def test_a_list_is_fetched_and_cached(instance, origin, tmp_path):
    for n in range(40):
        origin.pages[f"/{n}"] = Page(f"page {n}", KEPT)
    origin.pages["/large"] = Page(b"x" * 200_000, KEPT)
    origin.pages["/private"] = Page("secret", "Cache-Control: private\r\n")
    lines = [f"{BASE}/{n}" for n in range(40)] + ["", "# a comment", f"{BASE}/large", "https://weir.test/private", "no url"]
    (tmp_path / "list").write_text("\n".join(lines))
    done = preload(instance, tmp_path / "list", "--connections", "4")
    assert (done["fetched"], done["failed"], done["no_url"]) == (42, 0, 1)
    assert done["kernel"] == 40 and done["memory"] == 1 and done["not_cached"] == 1
    (reason,) = done["reasons"]
    assert reason["count"] == 1 and reason["example"].endswith("/private") and "RFC 9111" in reason["reason"]
    assert all(origin.count(f"/{n}") == 1 for n in range(40)) and origin.count("/large") == 1
    before = instance.stat("kernel.hits")
    assert instance.curl("http://127.0.0.1:8080/7", "-H", "Host: weir.test").stdout == "page 7"
    instance.wait_stat("kernel.hits", before + 1)
    assert origin.count("/7") == 1


def test_a_sitemap_is_read_from_a_file_and_from_the_instance(instance, origin, tmp_path):
    for n in range(3):
        origin.pages[f"/{n}?a=1&b=2"] = Page(f"page {n}", KEPT)
    entries = "".join(f"<url><loc> {BASE}/{n}?a=1&amp;b=2\n</loc><priority>1</priority></url>" for n in range(3))
    text = f'<?xml version="1.0"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'
    (tmp_path / "sitemap.xml").write_text(text)
    assert preload(instance, tmp_path / "sitemap.xml")["kernel"] == 3
    instance.command("cache", "flush", "app")
    origin.pages["/sitemap.xml"] = Page(text, chunked=True)
    origin.pages["/index.xml"] = Page(f"<sitemapindex><sitemap><loc>{BASE}/sitemap.xml</loc></sitemap></sitemapindex>")
    assert preload(instance, f"{BASE}/index.xml")["kernel"] == 3
    assert all(origin.count(f"/{n}?a=1&b=2") == 2 for n in range(3))


def test_what_cannot_be_fetched_is_said(instance, origin, tmp_path):
    origin.pages["/gone"] = lambda request: None
    (tmp_path / "list").write_text(f"{BASE}/missing\nhttp://weir.test:9999/\n{BASE}/gone\n")
    done = command(instance, "cache", "preload", tmp_path / "list", check=False)
    assert done.returncode == 1 and "not fetched" in done.stdout and ":9999/" in done.stdout
    done = command(instance, "cache", "preload", tmp_path / "none", check=False)
    assert done.returncode == 1 and "cannot read" in done.stderr
    (tmp_path / "empty").write_text("nothing\n")
    done = command(instance, "cache", "preload", tmp_path / "empty", check=False)
    assert done.returncode == 1 and "no URL" in done.stderr


def test_bench_counts_what_was_answered(instance, origin):
    origin.pages["/"] = Page("hello", KEPT)
    preload(instance, f"{BASE}/")
    url = "http://127.0.0.1:8080/"
    before = instance.stat("kernel.hits")
    done = json.loads(command(instance, "bench", url, "-c", "8", "-d", "1", "-t", "2", "--header", "Host: weir.test",
                              "--json").stdout)
    assert done["responses"] > 100 and done["refused"] == 0 and done["errors"] == 0
    assert done["kernel_hits"] == instance.stat("kernel.hits") - before
    assert done["kernel_hits"] > 0.5 * done["responses"]
    assert 0.9 < done["seconds"] < 10 and abs(done["rate"] - done["responses"] / done["seconds"]) < 1
    latency = done["latency"]
    assert 0 < latency["p50_us"] <= latency["p90_us"] <= latency["p99_us"] <= latency["p999_us"] <= latency["max_us"]
    assert origin.count("/") == 1
    text = command(instance, "bench", url, "-d", "1", "--header", "Host: weir.test").stdout
    assert re.search(r"responses +[\d ]+ in", text) and "answered from the kernel cache" in text


def test_bench_says_what_went_wrong(instance):
    done = command(instance, "bench", "http://127.0.0.1:9/", "-d", "1", check=False)
    assert done.returncode == 1 and "refused" in done.stderr
    assert command(instance, "bench", "nothing", check=False).returncode == 2
    assert command(instance, "bench", "http://127.0.0.1:9/", "-c", "0", check=False).returncode == 2
    assert command(instance, "bench", "http://127.0.0.1:9/", "-d", "1000000", check=False).returncode == 2


def test_a_terminal_gets_a_progress_bar_and_a_file_does_not(instance, origin, tmp_path):
    origin.pages["/"] = Page("hello", KEPT)
    words = ("bench", "http://127.0.0.1:8080/", "-d", "2", "--header", "Host: weir.test", "--control", instance.control)
    terminal = Terminal(*instance.netns.argv(str(PROGRAM), *map(str, words)))
    try:
        terminal.wait("[", "%", "responses,", "/s", "latency")
        assert terminal.process.wait(WAIT_SECONDS) == 0
        assert "\x1b[K" in terminal.raw.decode() and "\r" in terminal.raw.decode()
        assert "=>" in terminal.raw.decode()
    finally:
        terminal.close()
    (tmp_path / "list").write_text("\n".join(f"{BASE}/{n}" for n in range(300)))
    terminal = Terminal(*instance.netns.argv(str(PROGRAM), "cache", "preload", str(tmp_path / "list"), "--control",
                                             str(instance.control)))
    try:
        terminal.wait("of 300 URLs", "%", "fetched")
    finally:
        terminal.close()
    done = command(instance, "cache", "preload", tmp_path / "list")
    assert done.stderr == "" and "%" not in done.stdout
