# SPDX-License-Identifier: GPL-2.0
"""Static pools: configurations, requests as raw bytes, and responses taken apart."""
import re
import socket
import subprocess

URL = "http://127.0.0.1:8080"
BROWSER = "gzip, deflate, br, zstd"
DECODERS = {"": ["cat"], "gzip": ["gzip", "-dc"], "br": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"]}


def config(site, text="", prefix="/"):
    return f"""
listen = {{"127.0.0.1:8080"}}
pool default {{
	root = "{site.path}"
	prefixes = {{"http://*:8080{prefix}"}}
	{text}
}}
"""


class Response:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}

    @property
    def lasting(self):
        """What must be the same whoever answers, and whenever."""
        return self.status, {k: v for k, v in self.fields.items() if k not in ("date", "connection", "age")}, self.body

    @property
    def decoded(self):
        coding = self.fields.get("content-encoding", "")
        return subprocess.run(DECODERS[coding], input=self.body, capture_output=True, check=True, timeout=20).stdout


def send(w, request):
    """Bytes on a connection of their own; everything that comes back until the server ends it."""
    connection = w.netns.connect("127.0.0.1", 8080)
    with connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        raw = b""
        while chunk := connection.recv(65536):
            raw += chunk
    return Response(raw)


def get(w, target, **fields):
    """GET on a connection of its own. Fields by keyword, as in accept_encoding="br"."""
    lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1:8080"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in fields.items()]
    connection = w.netns.connect("127.0.0.1", 8080)
    with connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += receive(connection)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", raw)
        total = raw.index(b"\r\n\r\n") + 4 + int(length[1] if length else 0)
        while len(raw) < total:
            raw += receive(connection)
    assert len(raw) == total, "more than the response"
    return Response(raw)


def receive(connection):
    chunk = connection.recv(65536)
    assert chunk, "the connection ended inside of a response"
    return chunk


def hits(w):
    return w.stat("kernel.hits")


def second_from_kernel(w, target, **fields):
    """Asks twice; the worker answers first, XDP then, with the same bytes."""
    before = hits(w)
    first = get(w, target, **fields)
    assert hits(w) == before, f"{target}: the first answer came from the kernel"
    second = get(w, target, **fields)
    assert hits(w) == before + 1, f"{target} {fields}: the second answer did not come from the kernel"
    assert first.lasting == second.lasting
    return second


def never_from_kernel(w, target, **fields):
    before = hits(w)
    first = get(w, target, **fields)
    second = get(w, target, **fields)
    assert hits(w) == before, f"{target}: answered by the kernel"
    assert w.command("cache", "list").stdout.count(target) == 0
    return first, second
