# SPDX-License-Identifier: GPL-2.0
"""Upstreams by hand, which behave or misbehave as a test wants, and raw clients that see every byte."""
from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import tempfile
import threading

from harness.servers import wait_for

PORT = 8080
PATTERN = hashlib.sha256(b"weir").digest() * 2048  # 64 kB


class Request:
    """What an upstream has read: method, target, fields (lower-case names), body."""

    def __init__(self, line, fields, text):
        self.method, self.target, self.version = line.split(" ", 2)
        self.fields, self.text, self.body, self.trailers = fields, text, b"", ""

    def get(self, name, default=None):
        values = [v for n, v in self.fields if n == name]
        return ", ".join(values) if values else default


class Line:
    """One connection of an upstream, with what helps to read requests from it and write to it."""

    def __init__(self, sock, number):
        self.sock, self.number, self.file = sock, number, sock.makefile("rb")

    def read_head(self):
        line = self.file.readline().decode("latin-1").rstrip("\r\n")
        if not line:
            return None
        fields, text = [], line + "\n"
        while (row := self.file.readline().decode("latin-1")) not in ("\r\n", ""):
            name, _, value = row.partition(":")
            fields.append((name.lower(), value.strip()))
            text += row
        return Request(line, fields, text)

    def body_pieces(self, request):
        if request.get("transfer-encoding") == "chunked":
            while size := int(self.file.readline().split(b";")[0], 16):
                yield self.file.read(size)
                self.file.readline()
            while (row := self.file.readline()) not in (b"\r\n", b""):
                request.trailers += row.decode()
            return
        left = int(request.get("content-length", "0"))
        while left > 0:
            piece = self.file.read1(min(left, 65536))
            if not piece:
                raise ConnectionError("the request's body is cut")
            left -= len(piece)
            yield piece

    def read(self):
        request = self.read_head()
        if request:
            request.body = b"".join(self.body_pieces(request))
        return request

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def answer(self, body=b"", status="200 OK", fields=""):
        body = body if isinstance(body, bytes) else body.encode("latin-1")
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Upstream:
    """serve(line) is called in a thread of its own for each connection; `address` is for a configuration."""

    def __init__(self, netns, serve, path=None, port=None, backlog=512, accepts=True):
        self.serve, self.lines, self.requests, self.path = serve, [], [], path
        self.lock, self.ended = threading.Lock(), False
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            os.chmod(path, 0o777)
            self.address = f"unix:{path}"
        else:
            self.listener = netns.call(socket.socket)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", port or 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.listener.listen(backlog)
        if accepts:
            self.accept()

    def accept(self):
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                line = Line(sock, len(self.lines))
                self.lines.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line):
        try:
            self.serve(self, line)
        except (OSError, ValueError, IndexError):
            pass  # the client, or the test, has gone
        finally:
            line.file.close()
            with contextlib.suppress(OSError):
                line.sock.close()

    def close(self):
        """Refuses from now on, and ends what is open."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.sock.shutdown(socket.SHUT_RDWR)
        if self.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


def echo(upstream, line):
    """Answers each request with what it looked like."""
    while request := line.read():
        upstream.requests.append(request)
        line.answer(request.text.encode("latin-1") + b"\n" + request.body)


def once(data, then=None):
    """Reads one request, sends these bytes, closes (or calls then(line))."""

    def serve(upstream, line):
        request = line.read()
        if request is None:
            return
        upstream.requests.append(request)
        line.send(data)
        if then:
            then(line)

    return serve


def config(*pools, more=""):
    """Pools as (name, path, upstreams, lines); `path` may be a prefix path."""
    text = f'listen = {{"127.0.0.1:{PORT}"}}\nattach = none\n{more}\n'
    for name, path, upstreams, lines in pools:
        servers = ", ".join(f'"{u if isinstance(u, str) else u.address}"' for u in upstreams)
        text += (f'pool {name} {{\nhandler = proxy\nupstreams = {{{servers}}}\n'
                 f'prefixes = {{"http://*:{PORT}{path}"}}\n{lines}\n}}\n')
    return text


@contextlib.contextmanager
def sockets():
    """A folder for Unix sockets that the workers' account can enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_up_"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


class Client:
    """A raw connection to Weir: sends bytes, reads responses one by one."""

    def __init__(self, netns, port=PORT, timeout=20):
        self.sock = netns.connect("127.0.0.1", port, timeout)
        self.file = self.sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def request(self, target="/", method="GET", fields="", body=b"", version="1.1"):
        if body:
            fields += f"Content-Length: {len(body)}\r\n"
        return self.send(f"{method} {target} HTTP/{version}\r\nHost: weir.test\r\n{fields}\r\n".encode() + body)

    def head(self):
        """(status, fields) of the next response; names in lower case."""
        line = self.file.readline().decode("latin-1")
        if not line:
            raise EOFError("the connection is closed")
        fields = {}
        while (row := self.file.readline().decode("latin-1")) not in ("\r\n", ""):
            name, _, value = row.partition(":")
            name = name.lower()
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
        return int(line.split()[1]), fields

    def pieces(self, fields, method="GET", status=200):
        if method == "HEAD" or status in (204, 304):
            return
        if fields.get("transfer-encoding") == "chunked":
            self.trailers = ""
            while size := int(self.file.readline().split(b";")[0], 16):
                left = size
                while left:
                    piece = self.file.read1(min(left, 65536))
                    if not piece:
                        raise EOFError("the body is cut")
                    left -= len(piece)
                    yield piece
                self.file.readline()
            while (row := self.file.readline()) not in (b"\r\n", b""):
                self.trailers += row.decode()
            return
        left = int(fields["content-length"]) if "content-length" in fields else None
        while left != 0:
            piece = self.file.read1(65536 if left is None else min(left, 65536))
            if not piece:
                if left is None:
                    return
                raise EOFError("the body is cut")
            left = None if left is None else left - len(piece)
            yield piece

    def response(self, method="GET"):
        """(status, fields, body)"""
        status, fields = self.head()
        return status, fields, b"".join(self.pieces(fields, method, status))

    def get(self, target="/", **more):
        self.request(target, **more)
        return self.response(more.get("method", "GET"))

    def is_closed(self):
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.sock.close()


def wait_log(weir, *parts):
    """Waits for a log line that has all of the parts, and returns it."""
    def look():
        return [line for line in weir.log.splitlines() if all(p in line for p in parts)]
    return wait_for(f"a log line with {parts}", look)[0]
