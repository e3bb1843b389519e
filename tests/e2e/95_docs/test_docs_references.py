# SPDX-License-Identifier: GPL-2.0
"""What the pages point to exists: other pages, headings, files of the tree, commands, manual pages."""
import re
import xml.etree.ElementTree as ElementTree

import pytest

import docs_pages
from instance import PROGRAM, TREE, run

MANUALS = sorted(path for path in docs_pages.DOCS.iterdir() if path.suffix in (".3", ".5", ".7", ".8"))
PICTURES = sorted((docs_pages.DOCS / "img").glob("*.svg"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
TREE_FILE = re.compile(r"`((?:\.\./)*(?:bench|bpf|docs|examples|include|packaging|tests|userspace)/[\w./*-]*)`")


def name(path):
    return str(path.relative_to(TREE))


def prose(page):
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def anchors(page):
    """What headings are called in links."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page, text):
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists():
            yield f"{target}: there is no such file"
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            yield f"{target}: {path.name} has no such heading"


def absent_files(text):
    return [found for found in TREE_FILE.findall(text) if not any(TREE.glob(found.rstrip("/")))]


@pytest.mark.parametrize("page", docs_pages.pages(), ids=name)
def test_links_of_a_page_lead_somewhere(page):
    assert list(broken_links(page, prose(page))) == []


@pytest.mark.parametrize("page", docs_pages.pages(), ids=name)
def test_files_that_a_page_names_exist(page):
    assert absent_files(prose(page)) == []


def test_a_link_to_nowhere_is_found():
    page = docs_pages.DOCS / "README.md"
    assert list(broken_links(page, "[a](none.md) [b](README.md#no-such-heading) [c](https://example.com)")) == [
        "none.md: there is no such file", "README.md#no-such-heading: README.md has no such heading"]
    assert absent_files("`bpf/none.c` and `bpf/maps.bpf.c`") == ["bpf/none.c"]


def test_every_page_is_in_the_index():
    index = (docs_pages.DOCS / "README.md").read_text()
    files = [path.name for path in docs_pages.DOCS.iterdir() if path.suffix == ".md" or path in MANUALS]
    assert [file for file in files if file != "README.md" and f"({file})" not in index] == []


def test_commands_that_pages_name_exist():
    known = set(re.findall(r"^ {2}(?:weir )?([a-z]+)", run(PROGRAM, "help").stdout, re.M))
    named = set()
    for page in docs_pages.pages():
        named |= {(name(page), word) for word in re.findall(r"`(?:build/)?weir ([a-z]+)", prose(page))}
    assert known and {(page, word) for page, word in named if word not in known} == set()


def test_every_command_is_in_the_manual():
    known = set(re.findall(r"^ {2}(?:weir )?([a-z]+)", run(PROGRAM, "help").stdout, re.M))
    manual = (docs_pages.DOCS / "weir.8").read_text()
    assert {word for word in known if not re.search(rf"^\.It Nm {word}\b", manual, re.M)} == set()


@pytest.mark.parametrize("manual", MANUALS, ids=name)
def test_manual_pages_have_no_mistakes(manual):
    done = run("mandoc", "-T", "lint", "-W", "warning", manual, check=False)
    assert done.stdout + done.stderr == ""
    assert run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", manual).stderr == ""


def test_manual_pages_name_each_other():
    pages = {f"{path.stem} {path.suffix[1:]}" for path in MANUALS}
    for manual in MANUALS:
        also = manual.read_text().partition(".Sh SEE ALSO")[2]
        others = pages - {f"{manual.stem} {manual.suffix[1:]}"}
        assert {other for other in others if f".Xr {other}" not in also} == set(), manual.name


@pytest.mark.parametrize("picture", PICTURES, ids=name)
def test_pictures_are_readable_in_light_and_dark(picture):
    text = picture.read_text()
    root = ElementTree.fromstring(text)
    assert root.get("viewBox") and root.find("{http://www.w3.org/2000/svg}title") is not None
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(href|src)=\"https?:", text), "a picture loads nothing from elsewhere"
    assert any(f"img/{picture.name}" in page.read_text() for page in docs_pages.pages()), "no page shows it"
