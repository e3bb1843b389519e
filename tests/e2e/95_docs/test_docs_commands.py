# SPDX-License-Identifier: GPL-2.0
"""What the pages tell people to type works, and prints what the pages say."""
import contextlib
import pathlib

import pytest

import docs_pages
from instance import TREE

RUN = "sh run"


def with_commands():
    return [page for page in docs_pages.pages()
            if any(block.info == RUN for block in docs_pages.blocks(page.read_text()))]


def name(page):
    return str(page.relative_to(TREE))


@contextlib.contextmanager
def a_room():
    room = docs_pages.Room()
    try:
        yield room
    finally:
        room.close()


def play(room, page, commands):
    """Runs commands and stops at the first that fails or does not say what the page promises."""
    for command in commands:
        status, said = room.run(command.text)
        if command.in_background and command.expected:
            said = room.read_late(said, command.expected)
        print(f"$ {command.text}{said}")
        where = f"{page}:{command.line}: {command.text.strip()}"
        assert status == "0", f"{where}\nended with {status}:\n{said}"
        lacking = docs_pages.missing(said, command.expected)
        assert lacking is None, f"{where}\ndid not print: {lacking}\nbut:\n{said}"


@pytest.mark.parametrize("page", with_commands(), ids=name)
def test_commands_of_a_page_do_what_it_says(page):
    with a_room() as room:
        for block in docs_pages.blocks(page.read_text()):
            if block.info == RUN:
                play(room, name(page), docs_pages.commands(block))
        assert room.run("leftovers")[1] == ""


@pytest.mark.parametrize("text, says", [
    ("false\n", "ended with 1"),
    ("echo one\n#> two\n", "did not print: two"),
    ("sleep 0 &\n", "ended with 1"),
    ("seq 3\n#> 2\n#> 1\n", "did not print: 1"),
])
def test_a_command_that_does_not_keep_its_word_is_found(text, says):
    with a_room() as room:
        with pytest.raises(AssertionError, match=says):
            play(room, "sample", docs_pages.commands(docs_pages.Block(RUN, 1, text)))


def test_commands_share_a_shell_and_leave_the_machine_alone():
    text = ("cat > /etc/sample <<'END'\na line\nEND\nhere=/etc/sample\ncat $here |\n\ttr a-z A-Z\n#> A ... E\n"
            "nc -lk 127.0.0.1 9 &\nkill $!\n")
    with a_room() as room:
        play(room, "sample", docs_pages.commands(docs_pages.Block(RUN, 1, text)))
    assert not pathlib.Path("/etc/sample").exists()


def test_an_instance_that_a_page_forgets_is_found():
    text = "weir run --root examples/site --listen 127.0.0.1:80 &\n#> listening on ... 127.0.0.1\n"
    with a_room() as room:
        play(room, "sample", docs_pages.commands(docs_pages.Block(RUN, 1, text)))
        assert "still runs" in room.run("leftovers")[1]
