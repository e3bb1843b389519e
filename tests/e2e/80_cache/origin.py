# SPDX-License-Identifier: GPL-2.0
"""An origin whose answers a test writes, and which remembers what it was asked."""
from __future__ import annotations

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "60_proxy"))

from upstreams import PORT, Client, Upstream

DATE = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


class Page:
    """One resource. `gate`: an Event that its answers wait for."""

    def __init__(self, body=b"", fields="", status="200 OK", etag=None, gate=None, chunked=False):
        self.body = body if isinstance(body, bytes) else body.encode()
        self.fields, self.status, self.etag, self.gate, self.chunked = fields, status, etag, gate, chunked


class Origin(Upstream):
    """pages[target] is a Page, or a function of the request that returns one; None ends the connection unanswered."""

    def __init__(self, netns):
        self.pages, self.count_lock = {}, threading.Lock()
        super().__init__(netns, self._answer)

    @staticmethod
    def _answer(self, line):
        while request := line.read():
            with self.count_lock:
                self.requests.append(request)
            page = self.pages.get(request.target, Page("not found", status="404 Not Found"))
            page = page(request) if callable(page) else page
            if page and page.gate:
                assert page.gate.wait(30), "nobody opened the gate"
            if page is None:
                return
            fields = page.fields + (f"ETag: {page.etag}\r\n" if page.etag else "")
            if page.etag and request.get("if-none-match") == page.etag:
                line.send(f"HTTP/1.1 304 Not Modified\r\n{fields}\r\n")
            elif request.method == "HEAD":
                line.send(f"HTTP/1.1 {page.status}\r\nContent-Length: {len(page.body)}\r\n{fields}\r\n")
            elif page.chunked:
                line.send(f"HTTP/1.1 {page.status}\r\nTransfer-Encoding: chunked\r\n{fields}\r\n")
                for at in range(0, len(page.body), 5000):
                    piece = page.body[at:at + 5000]
                    line.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                line.send("0\r\n\r\n")
            else:
                line.answer(page.body, page.status, fields)

    def count(self, target):
        with self.count_lock:
            return sum(r.target == target for r in self.requests)


def config(origins, lines="", more="", kernel=True):
    servers = ", ".join(f'"{o.address}"' for o in origins)
    attach = "generic" if kernel else "none"
    return (f'listen = {{"127.0.0.1:{PORT}"}}\nattach = {attach}\ninterfaces = {{"lo"}}\n{more}\n'
            f'pool app {{\nhandler = proxy\nupstreams = {{{servers}}}\nkernel_cache = {"on" if kernel else "off"}\n'
            f'prefixes = {{"http://*:{PORT}/"}}\n{lines}\n}}\n')
