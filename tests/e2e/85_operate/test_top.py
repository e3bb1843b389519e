# SPDX-License-Identifier: GPL-2.0
"""weir top on a terminal: what is shown, and what its keys do."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

from harness.servers import wait_for
from instance import PROGRAM, WAIT_SECONDS, run

CONFIG = """
listen = {{ "127.0.0.1:8080" }}
pool alpha {{ root = "{root}" prefixes = {{ "http://*:8080/" }} }}
pool beta {{ root = "{root}" prefixes = {{ "http://*:8080/beta/" }} }}
"""


class Terminal:
    """A program on a pseudo-terminal of 120 by 40; `text` is everything that it wrote, without control sequences."""

    def __init__(self, *argv):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen([str(word) for word in argv], stdin=slave, stdout=slave, stderr=slave,
                                        env=dict(os.environ, TERM="xterm"), start_new_session=True)
        os.close(slave)
        self.raw = b""

    @property
    def text(self):
        return re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>])", " ", self.raw.decode(errors="replace"))

    def wait(self, *words):
        """Reads until all the words have been written since the last call."""
        end, self.raw = time.monotonic() + WAIT_SECONDS, b""
        while not all(word in self.text for word in words):
            assert time.monotonic() < end, f"not shown: {words}\n{self.text}"
            if select.select([self.master], [], [], 0.2)[0]:
                self.raw += os.read(self.master, 65536)

    def key(self, text):
        os.write(self.master, text)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def instance(weir, site):
    return weir(config=CONFIG.format(root=site.path))


@pytest.fixture
def top(instance):
    terminal = Terminal(PROGRAM, "top", "--control", instance.control)
    yield terminal
    terminal.close()


def test_it_shows_pools_clients_and_urls(instance, site, top):
    connection = instance.connect()
    for _ in range(20):
        assert instance.get(connection, "/small.txt") == (200, site.files["small.txt"])
    top.wait("alpha", "beta", "127.0.0.1", "small.txt", "hit ratio", "q quit")
    top.key(b"q")
    assert top.process.wait(WAIT_SECONDS) == 0
    connection.close()


def test_keys_recycle_a_pool_and_purge_a_url(instance, site, top):
    connection = instance.connect()
    for _ in range(5):
        instance.get(connection, "/small.txt")
    top.wait("beta", "small.txt")
    top.key(b"\x1bOB")  # down, as the keypad sends it: beta
    top.key(b"r")
    top.wait("recycling: beta")
    wait_for("beta was recycled", lambda: instance.stat("pools.beta.recycles") == 1)
    assert instance.stat("pools.alpha.recycles") == 0
    top.key(b"\tp")
    top.wait("purged:")
    wait_for("the URL is gone", lambda: instance.stat("kernel.cache_entries") == 0 or
             "small.txt" not in instance.command("cache", "list").stdout)
    top.key(b"q")
    assert top.process.wait(WAIT_SECONDS) == 0
    connection.close()


def test_it_ends_with_a_message_when_the_instance_does(instance, top):
    top.wait("alpha")
    instance.stop()
    top.wait("the instance has ended")
    assert top.process.wait(WAIT_SECONDS) == 1


def test_without_a_terminal_it_says_what_to_use(instance):
    done = run(PROGRAM, "top", "--control", instance.control, check=False)
    assert done.returncode == 1 and "weir stats --json" in done.stderr
