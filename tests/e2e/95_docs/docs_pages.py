# SPDX-License-Identifier: GPL-2.0
"""Pages of the documentation: their parts, and a shell that runs the commands in them.

A fenced block with the info string `sh run` is run; the blocks of a page share one shell, one directory (a copy-on-write
view of the tree) and one network namespace, see docs_room.sh. Lines that begin with `#>` say what the output of the
command before them must hold, in that order; `...` stands for any text within a line. A command must not fail.
"""
from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field

from instance import PROGRAM, TREE

DOCS = TREE / "docs"
ROOM = pathlib.Path(__file__).with_name("docs_room.sh")
COMMAND_SECONDS = 60
LATE_SECONDS = 10  # for the output of what runs in the background

FENCE = re.compile(r"^```(.*)$")


@dataclass
class Block:
    info: str
    line: int  # of its first line
    text: str


@dataclass
class Command:
    line: int
    text: str
    expected: list[str] = field(default_factory=list)

    @property
    def in_background(self) -> bool:
        return self.text.rstrip().endswith("&")


def pages() -> list[pathlib.Path]:
    return [TREE / "README.md", TREE / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]


def blocks(text: str) -> list[Block]:
    found, current = [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and current is None:
            current = Block(fence[1].strip(), number + 1, "")
        elif fence:
            found.append(current)
            current = None
        elif current is not None:
            current.text += line + "\n"
    assert current is None, f"the block of line {current and current.line} has no end"
    return found


def is_complete(text: str) -> bool:
    """Whether a shell would run this and not wait for another line."""
    if text.rstrip("\n").endswith("\\"):
        return False
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
    return done.returncode == 0 and "here-document" not in done.stderr


def commands(block: Block) -> list[Command]:
    found, text = [], ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("#>"):
            assert found and not text, f"line {number}: {line} stands behind no command"
            found[-1].expected.append(line[2:].strip())
            continue
        if not text and (not line.strip() or line.startswith("#")):
            continue
        text += line + "\n"
        if is_complete(text):
            found.append(Command(number, text))
            text = ""
    assert not text, f"line {block.line}: the last command of the block is not complete"
    return found


def missing(output: str, expected: list[str]) -> str | None:
    """The first expected line that the output has not, behind those before it."""
    at = 0
    for line in expected:
        pattern = r"[^\n]*?".join(re.escape(part.strip()).replace(r"\ ", r"[ \t]+") for part in line.split("..."))
        match = re.compile(pattern).search(output, at)
        if not match:
            return line
        at = match.end()
    return None


class Room:
    """docs_room.sh and a conversation with it."""

    def __init__(self):
        self.output, self.number = "", 0
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", str(ROOM), str(TREE),
             str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        assert self._read_answer("room", COMMAND_SECONDS)[0] == "0", f"no room for the commands:\n{self.output}"

    def close(self) -> None:
        self.process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with the namespace's first process, all in it
        self.process.wait()
        self.process.stdout.close()

    def run(self, text: str) -> tuple[str, str]:
        """(exit status, what was printed since the command before)"""
        self.number += 1
        self.process.stdin.write(b"%d %s\n" % (self.number, base64.b64encode(text.encode())))
        self.process.stdin.flush()
        return self._read_answer(str(self.number), COMMAND_SECONDS)

    def read_late(self, said: str, expected: list[str]) -> str:
        """Reads on until what a background command must say has come."""
        end = time.monotonic() + LATE_SECONDS
        self.output = said
        while missing(self.output, expected) and time.monotonic() < end:
            self._read(0.2)
        said, self.output = self.output, ""
        return said

    def _read(self, timeout: float) -> bool:
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return False
        data = os.read(self.process.stdout.fileno(), 65536)
        self.output += data.decode(errors="replace")
        return not data

    def _read_answer(self, name: str, seconds: float) -> tuple[str, str]:
        end = time.monotonic() + seconds
        answer = re.compile(rf"\x1e{name} (\d+)\n")
        while not (match := answer.search(self.output)):
            left = end - time.monotonic()
            assert left > 0, f"not done within {seconds} s, so far:\n{self.output}"
            assert not self._read(left), f"the shell has ended:\n{self.output}"
        said = self.output[:match.start()]
        self.output = self.output[match.end():]
        return match[1], said
