# SPDX-License-Identifier: GPL-2.0
"""The chat of examples/node: express and ws from npm, behind `proxy` and as the program of a pool."""
import json
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

from apps import Client, Script, program, steady, wait_other_program
from harness.servers import wait_for
from websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket


@pytest.fixture
def behind_proxy(chat, netns, monkeypatch):
    """As documented: one command, examples/node/run."""
    monkeypatch.setenv("FOLDER", str(chat))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir_run_"))
    folder.chmod(0o755)
    run = Script(folder, netns, ())
    try:
        run.start()
        visitor = Client(run)
        wait_for("the chat answers", lambda: visitor.get("/whoami").status == 200)
        yield run
        run.stop()
        wait_for("nothing is left", lambda: not run.left(), timeout=10)
    finally:
        run.kill_processes()
        print(f"--- examples/node/run\n{run.log}")
        shutil.rmtree(folder)


@pytest.fixture
def as_program(chat, weir):
    return weir("-c", chat / "exec.conf")


@pytest.fixture(params=["behind_proxy", "as_program"])
def app(request):
    return request.getfixturevalue(request.param)


def test_pages_and_websockets(app):
    visitor = Client(app)
    page = visitor.get("/")
    assert page.status == 200 and "<title>Chat</title>" in page.text
    assert page.headers["Cache-Control"] == "public, max-age=60"
    assert visitor.get("/", If_None_Match=page.headers["ETag"]).status == 304
    who = json.loads(visitor.get("/whoami").text)
    assert who["ip"] == "127.0.0.1" and who["host"] == "127.0.0.1:8080"
    slow = visitor.get("/slow")
    assert slow.text == "".join(f"line {n}\n" for n in range(1, 6)) and slow.headers["Transfer-Encoding"] == "chunked"
    assert visitor.get("/none").status == 404

    ann, bob = WebSocket(app, "/chat"), WebSocket(app, "/chat")
    ann.send("hello")
    assert ann.receive() == bob.receive() == (TEXT, b"hello")
    assert visitor.ask("POST", "/say", json.dumps({"text": "from a form"}),
                       Content_Type="application/json").status == 204
    assert ann.receive() == bob.receive() == (TEXT, b"from a form")
    ann.send(b"x", PING)
    assert ann.receive() == (PONG, b"x")
    for number in range(1000):
        bob.send(number.to_bytes(4, "big") * (number % 50 * 20 + 1))
    for number in range(1000):
        assert bob.receive() == (BINARY, number.to_bytes(4, "big") * (number % 50 * 20 + 1))
    large = os.urandom(900_000)
    bob.send(large)
    assert bob.receive() == (BINARY, large)
    bob.send(b"\x03\xe8", CLOSE)
    assert bob.receive()[0] == CLOSE
    for socket in (ann, bob):
        socket.close()


def test_program_is_recycled_and_survives_a_kill(as_program):
    before = program(as_program, "chat")["pid"]
    visitor = Client(as_program)
    wait_for("it serves", lambda: visitor.get("/whoami").status == 200)
    with steady(as_program, "/whoami") as seen:
        wait_for("answers", lambda: len(seen) > 20)
        as_program.command("pool", "recycle", "chat")
        after = wait_other_program(as_program, "chat", before)
    wait_for("the next one answers", lambda: json.loads(Client(as_program).get("/whoami").text)["pid"] == after)
    os.kill(after, signal.SIGKILL)
    wait_other_program(as_program, "chat", after)
    wait_for("it serves again", lambda: Client(as_program).get("/whoami").status == 200)
    assert "weir[chat]: program: ready" in as_program.log
