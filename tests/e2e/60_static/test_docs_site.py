# SPDX-License-Identifier: GPL-2.0
"""examples/docs-site.conf: a real documentation tree, crawled as a browser would load it, twice."""
import html.parser
import pathlib
import posixpath
import urllib.parse

from instance import TREE
from static_pools import BROWSER, URL, get, hits, second_from_kernel

DOCS = pathlib.Path("/usr/share/doc")
START = "/fish/"  # the package fish, of tests/deps.sh: made by Sphinx


class Links(html.parser.HTMLParser):
    def __init__(self, base, text):
        super().__init__()
        self.base, self.found = base, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name not in ("href", "src") or not value:
                continue
            url = urllib.parse.urlsplit(urllib.parse.urljoin(self.base, value))
            if not url.netloc and not url.scheme and url.path:
                self.found.add(posixpath.normpath(url.path) + ("/" if url.path.endswith("/") else ""))


def crawl(w):
    """{path: response} of everything that is linked from START and lies below it."""
    pages, todo = {}, [START]
    while todo:
        path = todo.pop()
        if path in pages or not path.startswith(START):
            continue
        pages[path] = answer = get(w, path, accept_encoding=BROWSER)
        if answer.fields.get("content-type", "").startswith("text/html") and answer.status == 200:
            todo += sorted(Links(path, answer.decoded.decode()).found)
    return pages


def test_documentation_tree(weir):
    assert (DOCS / "fish/index.html").exists(), "the package fish is missing: make deps, or apt-get install fish"
    w = weir("-c", TREE / "examples/docs-site.conf")
    first = crawl(w)
    after_first = hits(w)
    second = crawl(w)
    assert len(first) > 100 and first.keys() == second.keys()
    for path, answer in first.items():
        file = DOCS / path.lstrip("/") / ("index.html" if path.endswith("/") else "")
        if not file.exists():
            assert answer.status == 404, path
            continue
        assert answer.status == 200 and answer.decoded == file.read_bytes(), path
        assert answer.lasting == second[path].lasting, path
    small = [path for path, answer in first.items() if answer.status == 200 and len(answer.body) < 15_000]
    assert len(small) > 80
    assert hits(w) - after_first >= len(small), "what fits is answered by XDP the second time"


def test_the_rest_of_the_example(weir):
    w = weir("-c", TREE / "examples/docs-site.conf")
    page = w.curl(f"{URL}/").stdout
    assert "<title>Index of /</title>" in page and '<a href="./fish/">fish/</a>' in page
    done = w.curl("-L", "--compressed", f"{URL}/man/echo")
    assert done.stdout.encode() == (DOCS / "fish/cmds/echo.html").read_bytes()
    assert second_from_kernel(w, "/fish/cmds/echo", accept_encoding=BROWSER).decoded == \
        (DOCS / "fish/cmds/echo.html").read_bytes()
    answer = get(w, "/fish/copyright")
    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert answer.fields["cache-control"] == "max-age=600"
    style = second_from_kernel(w, "/fish/_static/classic.css", accept_encoding=BROWSER)
    assert style.fields["cache-control"] == "public, max-age=86400"
    assert style.fields["x-content-type-options"] == "nosniff"
    assert get(w, "/fish").fields["location"] == "/fish/"
    assert get(w, "/nothing-of-that-name").status == 404
