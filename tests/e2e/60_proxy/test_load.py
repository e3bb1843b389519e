# SPDX-License-Identifier: GPL-2.0
"""Much at a time, and much in one piece: no thread is held by who is slow, memory does not grow, nothing is lost when
workers change."""
import asyncio
import base64
import hashlib
import json
import os
import signal
import threading
import time

import pytest

from harness.servers import wait_for
from upstreams import PATTERN, Client, config, echo

IS_SLOW = os.environ.get("WEIR_SLOW") == "1"
BIG = (10 << 30) if IS_SLOW else (256 << 20)
GROWTH_KB = 8192
MESSAGES = 10_000
SLOW_RESPONSES = 1000


def worker_pid(weir):
    return wait_for("a worker", lambda: weir_pool(weir)["workers"][0]["worker_pid"])


def weir_pool(weir):
    return json.loads(weir.command("status", "--json").stdout)["pools"]["app"]


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def pieces_of(size):
    at = 0
    while at < size:
        n = min(len(PATTERN), size - at)
        yield PATTERN[:n]
        at += n


def digest_of(size):
    h = hashlib.blake2b()
    for piece in pieces_of(size):
        h.update(piece)
    return h.hexdigest()


def allow(seconds):
    signal.alarm(seconds)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_large_response_in_constant_memory(proxy, client, framing):
    allow(1800 if IS_SLOW else 140)

    def serve(_, line):
        line.read()
        line.send("HTTP/1.1 200 OK\r\n" + {"length": f"Content-Length: {BIG}\r\n\r\n", "close": "\r\n",
                                           "chunked": "Transfer-Encoding: chunked\r\n\r\n"}[framing])
        for piece in pieces_of(BIG):
            line.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        if framing == "chunked":
            line.send("0\r\n\r\n")

    weir = proxy(serve)
    pid = worker_pid(weir)
    before, most, h, size = resident_kb(pid), 0, hashlib.blake2b(), 0
    it = client()
    it.request("/")
    status, fields = it.head()
    for piece in it.pieces(fields):
        h.update(piece)
        size += len(piece)
        if size % (16 << 20) < 65536:
            most = max(most, resident_kb(pid))
    assert (status, size, h.hexdigest()) == (200, BIG, digest_of(BIG))
    assert most < before + GROWTH_KB, f"{before} kB before, {most} kB while {BIG} bytes went through"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_request_in_constant_memory(proxy, client, framing):
    allow(1800 if IS_SLOW else 140)
    most = []

    def serve(_, line):
        request, h, size = line.read_head(), hashlib.blake2b(), 0
        for piece in line.body_pieces(request):
            h.update(piece)
            size += len(piece)
        most.append(resident_kb(pid))
        line.answer(f"{size} {h.hexdigest()}")

    weir = proxy(serve)
    pid = worker_pid(weir)
    before = resident_kb(pid)
    it = client()
    it.send("POST / HTTP/1.1\r\nHost: a\r\n" + (f"Content-Length: {BIG}\r\n\r\n" if framing == "length" else
                                               "Transfer-Encoding: chunked\r\n\r\n"))
    for n, piece in enumerate(pieces_of(BIG)):
        it.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
        if n % 256 == 0:
            most.append(resident_kb(pid))
    if framing == "chunked":
        it.send("0\r\n\r\n")
    assert it.response()[2].decode() == f"{BIG} {digest_of(BIG)}"
    assert max(most) < before + GROWTH_KB


def test_slow_reader_holds_no_memory_and_no_thread(proxy, client):
    """The upstream waits for the client: what is between them is bounded."""
    sent = []

    def serve(_, line):
        if line.read().target == "/quick":
            line.answer("quick")
            return
        line.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
        for piece in pieces_of(BIG):
            line.send(piece)
            sent.append(len(piece))

    weir = proxy(serve, lines="threads = 2")
    before = resident_kb(worker_pid(weir))
    slow = [client().request("/") for _ in range(20)]
    for it in slow:
        assert it.head()[0] == 200
    it = client()
    for _ in range(50):
        assert it.get("/quick")[2] == b"quick"
    assert sum(sent) < 20 * (16 << 20), "what is on its way is bounded by sockets and buffers"
    assert resident_kb(worker_pid(weir)) < before + 20 * 256


async def slow_server(path, state):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        state["waiting"] += 1
        await state["go"].wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(handle, path, backlog=4096)


def test_a_thousand_slow_responses_with_four_threads(proxy, folder, netns):
    state, loop, path = {"waiting": 0}, asyncio.new_event_loop(), str(folder / "slow.sock")

    def run():
        asyncio.set_event_loop(loop)
        state["go"] = asyncio.Event()
        loop.run_until_complete(slow_server(path, state))
        os.chmod(path, 0o777)
        state["ready"] = True
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for("the upstream is ready", lambda: state.get("ready"))
    weir = proxy(f"unix:{path}", lines="threads = 4")
    clients = [Client(netns) for _ in range(SLOW_RESPONSES)]
    try:
        for it in clients:
            it.request("/")
        wait_for("all are with the upstream", lambda: state["waiting"] == SLOW_RESPONSES, timeout=60)
        threads = len(os.listdir(f"/proc/{worker_pid(weir)}/task"))
        assert threads <= 4 + 2, f"{threads} threads"
        loop.call_soon_threadsafe(state["go"].set)
        for it in clients:
            assert it.response()[2] == b"slow"
    finally:
        for it in clients:
            it.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def frame(payload, mask=None):
    """A WebSocket text frame, RFC 6455 5.2."""
    head = bytes([0x81, (0x80 if mask else 0) | (len(payload) if len(payload) < 126 else 126)])
    if len(payload) >= 126:
        head += len(payload).to_bytes(2, "big")
    if mask:
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        head += mask
    return head + payload


def read_frame(file):
    head = file.read(2)
    size = head[1] & 0x7f
    if size == 126:
        size = int.from_bytes(file.read(2), "big")
    mask = file.read(4) if head[1] & 0x80 else None
    data = file.read(size)
    return bytes(b ^ mask[i % 4] for i, b in enumerate(data)) if mask else data


def websocket(_, line):
    request = line.read()
    accept = base64.b64encode(hashlib.sha1((request.get("sec-websocket-key") +
                                            "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    line.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
    while True:
        line.send(frame(read_frame(line.file)[::-1]))


def test_ten_thousand_websocket_messages(proxy, client):
    proxy(websocket)
    it = client()
    it.request("/ws", fields="Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    status, fields = it.head()
    assert status == 101 and fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    ahead = 50
    for n in range(MESSAGES + ahead):
        if n < MESSAGES:
            it.send(frame(b"message %d " % n + b"x" * (n % 200), mask=b"\1\2\3\4"))
        if n >= ahead:
            m = n - ahead
            assert read_frame(it.file) == (b"message %d " % m + b"x" * (m % 200))[::-1]


def slow_echo(_, line):
    while request := line.read():
        if request.target.startswith("/slow"):
            time.sleep(float(request.target.split("=")[1]))
        line.answer(request.target)


def test_recycling_loses_no_exchange(proxy, client, netns):
    weir = proxy(slow_echo)
    wait_for("it has started", lambda: weir_pool(weir)["state"] == "started")
    old = worker_pid(weir)
    held = [client().request("/slow=1.5") for _ in range(10)]
    ended, failed = threading.Event(), []

    def load():
        it = Client(netns)
        while not ended.is_set():
            status, _, body = it.get("/quick")
            if (status, body) != (200, b"/quick"):
                failed.append((status, body))
        it.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for n in range(5):
        count = weir_pool(weir)["recycles"]
        weir.command("pool", "recycle", "app")
        wait_for("it was recycled", lambda: weir_pool(weir)["recycles"] > count)
    ended.set()
    for t in threads:
        t.join(20)
    assert not failed
    assert [it.response()[2] for it in held] == [b"/slow=1.5"] * 10
    assert worker_pid(weir) != old
    assert all(it.get("/after")[0] == 200 for it in held), "the connections go on in the new worker"
    wait_for("the old worker ends", lambda: not os.path.exists(f"/proc/{old}"))


def test_crash_answers_503_where_nothing_was_sent_and_cuts_the_rest(proxy, client):
    def serve(_, line):
        while request := line.read():
            if request.target == "/half":
                line.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                line.read()
            elif request.target == "/wait":
                line.file.read()
            else:
                line.answer("fine")

    weir = proxy(serve)
    half, waits, idle = client().request("/half"), client().request("/wait"), client()
    assert half.head()[0] == 200 and half.file.read(4) == b"half"
    assert idle.get("/")[0] == 200
    wait_for("it waits", lambda: len(weir.upstream.lines) >= 3)
    os.kill(worker_pid(weir), signal.SIGKILL)
    assert waits.response()[0] == 503
    assert half.is_closed()
    assert idle.get("/")[2] == b"fine", "an idle connection outlives the worker"
    wait_for("upstreams see the end", lambda: weir.upstream.lines[1].sock.fileno() == -1)


def test_request_goes_on_to_the_pool_of_its_url(weir, netns, upstream, client):
    one, two = upstream(echo), upstream(echo)
    weir(netns=netns, config=config(("one", "/", [one], ""), ("two", "/two/", [two], "")))
    it = client()
    for n in range(10):
        path = "/two/x" if n % 2 else "/x"
        status, _, body = it.get(path, method="POST", body=b"%d" % n * 1000)
        assert status == 200 and body.startswith(b"POST " + path.encode()) and body.endswith(b"%d" % n * 1000)
    assert len(one.requests) == len(two.requests) == 5


def test_client_that_goes_away_frees_the_upstream(proxy, client):
    ended = threading.Event()

    def serve(_, line):
        line.read()
        line.file.read()
        ended.set()

    weir = proxy(serve)
    it = client()
    it.request("/poll")
    wait_for("the upstream has it", lambda: weir.upstream.lines)
    it.close()
    assert ended.wait(10)


def test_unix_socket_with_a_full_queue_is_waited_for(proxy, client, upstream, folder):
    up = upstream(echo, path=folder / "full.sock", backlog=0, accepts=False)
    proxy(up)
    many = [client().request("/") for _ in range(8)]
    time.sleep(0.2)  # most of them find the queue full meanwhile; the test is that this is no failure
    up.accept()
    assert [it.response()[0] for it in many] == [200] * 8


def test_tunnel_is_ended_before_a_recycled_worker_is_killed(proxy, client):
    def serve(_, line):
        line.read()
        line.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        line.file.read()

    weir = proxy(serve, lines="shutdown_time_limit = 2s")
    old = worker_pid(weir)
    it = client()
    it.request("/", fields="Connection: upgrade\r\nUpgrade: x\r\n")
    assert it.head()[0] == 101
    wait_for("it has started", lambda: weir_pool(weir)["state"] == "started")
    weir.command("pool", "recycle", "app")
    assert it.is_closed()
    wait_for("the old worker ends", lambda: not os.path.exists(f"/proc/{old}"))
    assert "killed" not in weir.log and weir_pool(weir)["crashes"] == 0


def test_reload_moves_connections_while_exchanges_go_on(weir, netns, upstream, client):
    def serve(_, line):
        while request := line.read():
            if request.target == "/tunnel":
                line.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
                while data := line.file.read1(100):
                    line.send(data)
            if request.target.startswith("/slow"):
                time.sleep(4)
            line.answer(request.target)

    up = upstream(serve)
    instance = weir(netns=netns, config=config(("app", "/", [up], "")))
    old = worker_pid(instance)
    tunnel, slow, idle = client(), client().request("/slow"), client()
    tunnel.request("/tunnel", fields="Connection: upgrade\r\nUpgrade: x\r\n")
    assert tunnel.head()[0] == 101 and idle.get("/")[0] == 200
    (instance.folder / "weir.conf").write_text(config(("app", "/", [up], "retries = 1")))
    os.kill(instance.pid, signal.SIGHUP)
    wait_for("it has begun anew", lambda: "replaced: 1 pool slot" in instance.log)
    wait_for("it answers", instance.is_ready)
    assert worker_pid(instance) != old
    began = time.monotonic()
    for _ in range(30):  # whichever listening socket they come to
        assert client().get("/new")[0] == 200
    assert idle.get("/")[0] == 200
    assert time.monotonic() - began < 3, "the old worker's exchanges held others up"
    tunnel.send("ping")
    assert tunnel.file.read(4) == b"ping"
    assert slow.response()[2] == b"/slow"
    assert slow.get("/after")[0] == 200
    tunnel.close()
    wait_for("the old worker ends", lambda: not os.path.exists(f"/proc/{old}"))
