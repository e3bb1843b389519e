# SPDX-License-Identifier: GPL-2.0
"""Redirects, rewrites, try_files, error pages and added fields, asked for by curl and as raw bytes."""
import pytest

from harness.servers import wait_for
from static_pools import URL, config, get, hits, never_from_kernel, second_from_kernel, send

RULES = r"""
	redirects = {
		'301 exact /old /new'
		'302 prefix /blog/ https://blog.example/'
		'307 regex ^/issue/(\d+)$ /issues?id=$1'
		'308 regex ^/(a+)+$ /small.txt'
	}
	rewrites = {
		'prefix /manual/ /dir/'
		'regex ^/t/(\w+)$ /$1.txt'
	}
""".replace("'\n\t\t'", "',\n\t\t'")


def test_redirects_and_rewrites(weir, site):
    w = weir(config=config(site, RULES))
    for target, status, location in (("/old?a=b", 301, "/new?a=b"), ("/blog/x/y", 302, "https://blog.example/x/y"),
                                     ("/issue/7?x=y", 307, "/issues?id=7&x=y"), ("/aaa", 308, "/small.txt"),
                                     ("/dir", 301, "/dir/"),
                                     ("/blog/%0d%0aX-Evil:%20y", 302, "https://blog.example/%0D%0AX-Evil:%20y")):
        done = w.curl("-o", "/dev/null", "-w", "%{http_code} %header{location}", f"{URL}{target}")
        assert done.stdout == f"{status} {location}"
    assert w.curl("-L", f"{URL}/aaa").stdout.encode() == site.files["small.txt"]
    assert w.curl(f"{URL}/manual/").stdout.encode() == site.files["dir/index.html"]
    assert second_from_kernel(w, "/t/small").body == site.files["small.txt"]


def test_pattern_that_backtracks_gives_500_and_a_message(weir, site):
    w = weir(config=config(site, RULES))
    for _ in range(5):
        assert get(w, "/" + "a" * 250 + "!").status == 500
    wait_for("the message", lambda: "backtracks too much" in w.log)
    assert w.log.count("backtracks too much") <= 2 and "308 regex ^/(a+)+$ /small.txt" in w.log
    assert get(w, "/small.txt").status == 200


def test_single_page_application(weir, site):
    site.write("guide.html", b"<p>guide")
    w = weir(config=config(site, 'try_files = { "$uri", "$uri.html", "/index.html" }'))
    assert second_from_kernel(w, "/small.txt").body == site.files["small.txt"]
    assert second_from_kernel(w, "/guide").body == b"<p>guide"
    assert second_from_kernel(w, "/users/42/edit").body == site.files["index.html"]
    site.write("guide", b"better")
    wait_for("the better candidate", lambda: get(w, "/guide").body == b"better")
    site.write("users/42/edit", b"a file now")
    wait_for("the better candidate", lambda: get(w, "/users/42/edit").body == b"a file now")
    site.write("index.html", b"new shell")
    wait_for("the new shell", lambda: get(w, "/anything").body == b"new shell")


def test_error_pages_keep_their_status(weir, site):
    site.write("404.html", b"<p>not here")
    w = weir(config=config(site, 'error_pages = { "404 /404.html" }\nheaders = { "X-All: yes" }'))
    first, second = never_from_kernel(w, "/nothing")
    for answer in (first, second):
        assert (answer.status, answer.body) == (404, b"<p>not here")
        assert answer.fields["content-type"].startswith("text/html") and answer.fields["x-all"] == "yes"
    site.write("404.html", b"<p>gone")
    wait_for("the new page", lambda: get(w, "/nothing").body == b"<p>gone")
    assert get(w, "/404.html").status == 200


def test_fields_are_in_what_the_kernel_sends(weir, site):
    site.write("assets/app.css", b"p { color: red }")
    w = weir(config=config(site, """
	max_age = 60
	headers = {
		"X-Content-Type-Options: nosniff",
		"/assets/* Cache-Control: public, max-age=31536000, immutable",
		"/other.txt Cache-Control: no-store"
	}
"""))
    answer = second_from_kernel(w, "/small.txt")
    assert answer.fields["cache-control"] == "max-age=60" and answer.fields["x-content-type-options"] == "nosniff"
    answer = second_from_kernel(w, "/assets/app.css")
    assert answer.fields["cache-control"] == "public, max-age=31536000, immutable"
    assert never_from_kernel(w, "/other.txt")[1].fields["cache-control"] == "no-store"
    same = get(w, "/small.txt", if_none_match=second_tag(w))
    assert (same.status, same.fields["x-content-type-options"]) == (304, "nosniff")


def second_tag(w):
    return get(w, "/small.txt").fields["etag"]


def test_directory_listing(weir, site):
    site.write("list/<b>&\"'.txt", b"x")
    site.write("list/sub/file", b"x")
    w = weir(config=config(site, "listing = html"))
    page = w.curl(f"{URL}/list/").stdout
    assert '<a href="./sub/">sub/</a>' in page and "&lt;b&gt;&amp;&quot;&#39;.txt</a>" in page and "<b>" not in page
    assert get(w, "/list").fields["location"] == "/list/"
    assert get(w, "/dir/").body == site.files["dir/index.html"]
    never_from_kernel(w, "/list/")


def test_directory_listing_is_off(weir, site):
    site.write("list/file", b"x")
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    assert get(w, "/list/").status == 403


HOSTILE = ["/../../../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/out/passwd", "/abs",
           "/dir/../../etc/passwd", "/%00", "/small.txt%00.html", "/a\\..\\b", "/" + "a/" * 3000, "/" + "x" * 5000,
           "/t/..", "/t/%2e%2e", "/manual/../../etc/passwd", "/manual/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/%"]


@pytest.mark.parametrize("options", ["", RULES, 'try_files = { "$uri", "$uri.html", "$uri/", "=404" }', "listing = html"])
def test_hostile_targets(weir, site, options):
    (site.path / "out").symlink_to("/etc")
    (site.path / "abs").symlink_to("/etc/passwd")
    w = weir(config=config(site, options))
    for target in HOSTILE:
        answer = send(w, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode("latin-1"))
        assert b"root:" not in answer.body, target
        assert answer.status in (200, 301, 302, 400, 403, 404, 414), f"{target}: {answer.status}"
        if answer.status == 200:
            assert answer.body == site.files["index.html"] or b"Index of /" in answer.body, target
    assert w.stat("pools.default.crashes") == 0
    assert get(w, "/small.txt").body == site.files["small.txt"]
    assert hits(w) >= 0
