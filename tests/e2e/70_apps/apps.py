# SPDX-License-Identifier: GPL-2.0
"""What the tests of applications share: a client with cookies, and load that must not fail."""
import contextlib
import hashlib
import json
import pathlib
import re
import threading
import urllib.parse
import uuid

from harness.servers import wait_for
from instance import TREE, Weir

EXAMPLES = TREE / "examples"


class Reply:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def text(self):
        return self.body.decode()


class Client:
    """A visitor: keeps its cookies and one connection, follows no redirect by itself."""

    def __init__(self, weir):
        self.weir, self.cookies = weir, {}
        self.connection = weir.connect()

    def ask(self, method, target, body=None, **headers):
        headers = {"Accept-Encoding": "gzip, deflate, br", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.connection.request(method, target, body, headers)
        response = self.connection.getresponse()
        reply = Reply(response, response.read())
        if response.will_close:
            self.connection = self.weir.connect()
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return reply

    def get(self, target, **headers):
        return self.ask("GET", target, **headers)

    def post(self, target, **fields):
        return self.ask("POST", target, urllib.parse.urlencode(fields),
                        Content_Type="application/x-www-form-urlencoded")

    def upload(self, target, name, content, **fields):
        mark = uuid.uuid4().hex
        parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                     "Content-Type: application/octet-stream\r\n\r\n")
        body = "".join(parts).encode() + content + f"\r\n--{mark}--\r\n".encode()
        return self.ask("POST", target, body, Content_Type=f"multipart/form-data; boundary={mark}")

    def token(self, target):
        """The hidden field of a page's form."""
        return re.search(r'name="token" value="(\w+)"', self.get(target).text)[1]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def program(weir, pool, slot=0):
    """What `weir status` says of a pool's program."""
    return json.loads(weir.command("status", "--json").stdout)["pools"][pool]["workers"][slot]["program"]


def wait_other_program(weir, pool, before):
    def look():
        if weir.command("status", check=False).returncode:
            return False  # the supervisor starts anew
        now = program(weir, pool)
        return now["pid"] not in (0, before) and not now["draining_pid"] and now["pid"]

    return wait_for(f"another program of {pool} than {before}", look)


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


@contextlib.contextmanager
def steady(weir, target, threads=4, check=lambda reply: reply.status == 200):
    """Asks all the while; at the end, nothing may have failed. Gives the list of answers."""
    seen, wrong, is_over = [], [], threading.Event()

    def run():
        client = Client(weir)
        while not is_over.is_set():
            try:
                reply = client.get(target)
            except OSError as error:
                wrong.append(repr(error))
                client = Client(weir)
                continue
            (seen if check(reply) else wrong).append(f"{reply.status} {reply.text[:80]}")
            is_over.wait(0.005)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        is_over.set()
        for worker in workers:
            worker.join()
    assert not wrong, f"{len(wrong)} of {len(wrong) + len(seen)} failed: {wrong[:3]}"
    assert seen


class Script(Weir):
    """Weir as the script of an example starts it, with more besides it."""

    argv = (str(EXAMPLES / "node/run"),)
