# SPDX-License-Identifier: GPL-2.0
"""A Weir with one module pool, and clients that send exactly what a test says."""
import http.client
import json
import re

from harness import servers
from harness.pool_client import Load
from instance import PORT

BROWSER = {"Accept-Encoding": "gzip, deflate, br"}  # what makes a plain case of http.client's requests


def checksum(data):
    """As the probe's /count/ does it."""
    value = 0
    for byte in data:
        value = (value * 31 + byte) & (2**64 - 1)
    return value


def noise(size):
    """Bytes in which every hole, repetition or shift shows."""
    return b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]


def letters(size):
    """What the probe's /bytes/ and /length/ send."""
    period = bytes(ord("a") + n for n in range(23))
    return (period * (size // 23 + 1))[:size]


def chunked(*pieces, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


class Module:
    def __init__(self, weir):
        self.weir = weir

    def connect(self):
        """A http.client connection."""
        return self.weir.connect()

    def socket(self):
        """A bare one."""
        return self.weir.netns.connect("127.0.0.1", PORT, 20)

    def load(self):
        return Load(self.weir.netns, "127.0.0.1", PORT)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """(status, body, response) of one request; without a connection, on its own."""
        c = connection or self.connect()
        c.request(method, f"/m{path}", body=body, headers=headers or {}, encode_chunked=False)
        response = c.getresponse()
        answer = response.status, response.read(), response
        if connection is None:
            c.close()
        return answer

    def get(self, path, connection=None, headers=None):
        return self.ask("GET", path, headers=headers, connection=connection)[:2]

    def pool(self):
        return json.loads(self.weir.command("status", "--json").stdout)["pools"]["probe"]

    def stats(self):
        return self.weir.stats()["pools"]["probe"]

    def wait_worker(self, other_than=()):
        def look():
            row = self.pool()["workers"][0]
            return row["state"] == "started" and row["worker_pid"] not in (0, *other_than) and row["worker_pid"]

        return servers.wait_for("a worker has started", look)

    def wait_log(self, pattern, least=1):
        servers.wait_for(f"{least} lines like '{pattern}' in the log",
                         lambda: len(re.findall(pattern, self.weir.log)) >= least)


class Reader:
    """Responses from a bare socket, one after the other."""

    def __init__(self, sock):
        self.sock, self.data = sock, bytearray()

    def more(self):
        got = self.sock.recv(65536)
        if not got:
            raise EOFError(f"the connection ended after {bytes(self.data[:200])!r}")
        self.data += got

    def take(self, size):
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    def until(self, mark):
        while mark not in self.data:
            self.more()
        return self.take(self.data.index(mark) + len(mark))

    def exactly(self, size):
        while len(self.data) < size:
            self.more()
        return self.take(size)

    def head(self):
        """(status, fields in lower case)"""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split(" ")[1]), fields

    def response(self, method="GET"):
        """(status, fields, body)"""
        status, fields = self.head()
        if method == "HEAD" or status in (100, 204, 304):
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
            return status, fields, body
        return status, fields, self.exactly(int(fields["content-length"]))

    def rest(self):
        """Everything up to the end."""
        while got := self.sock.recv(65536):
            self.data += got
        return bytes(self.data)


__all__ = ["BROWSER", "Module", "Reader", "checksum", "chunked", "http", "letters", "noise"]
