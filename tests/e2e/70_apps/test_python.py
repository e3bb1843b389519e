# SPDX-License-Identifier: GPL-2.0
"""The Python application of examples/python under gunicorn and uvicorn, unchanged programs that Weir supervises."""
import os
import signal
import threading

import pytest

from apps import EXAMPLES, Client, program, resident_kb, steady, wait_other_program
from harness.servers import wait_for


@pytest.fixture(params=["weir.conf", "uvicorn.conf"])
def app(request, example):
    return example(f"python/{request.param}")


def test_pages_cookies_and_bodies(app):
    visitor = Client(app)
    reply = visitor.get("/")
    assert reply.status == 200 and reply.text.startswith("Hello from Python")
    assert reply.headers["Cache-Control"] == "public, max-age=60"
    assert [visitor.get("/count").text for _ in range(3)] == ["visit 1\n", "visit 2\n", "visit 3\n"]
    content = os.urandom(5_000_000)
    assert visitor.ask("POST", "/echo", content).body == content
    assert visitor.get("/none").status == 404


def test_recycling_loses_no_request(app):
    before = program(app, "app")["pid"]
    wait_for("it serves", lambda: Client(app).get("/pid").status == 200)
    with steady(app, "/count") as seen:
        wait_for("answers", lambda: len(seen) > 20)
        app.command("pool", "recycle", "app")
        wait_other_program(app, "app", before)
        answered = len(seen)
        wait_for("answers of the next", lambda: len(seen) > answered + 20)
    assert program(app, "app")["restarts"] == 0


def test_killed_program_is_started_again(app):
    visitor = Client(app)
    assert visitor.get("/pid").status == 200
    before = program(app, "app")["pid"]
    os.kill(before, signal.SIGKILL)
    wait_other_program(app, "app", before)
    assert str(before) not in visitor.get("/pid").text.split()
    assert program(app, "app")["restarts"] == 1
    assert app.stat("pools.app.crashes") == 1


def test_program_that_hangs_is_replaced(weir):
    """exec_ping: its processes are stopped, as if they waited for something for ever."""
    app = weir(config=f"""
listen = {{ "127.0.0.1:8080" }}
pool app {{
	handler = exec
	exec = {{ "/usr/bin/gunicorn", "--workers", "1", "--worker-tmp-dir", "/dev/shm", "app:application" }}
	exec_directory = "{EXAMPLES}/python"
	exec_ping = "/pid"
	ping_interval = 200ms
	ping_response_time = 1s
	prefixes = {{ "http://*:8080/" }}
}}
""")
    visitor = Client(app)
    worker, master = map(int, visitor.get("/pid").text.split())
    for pid in (master, worker):
        os.kill(pid, signal.SIGSTOP)
    wait_other_program(app, "app", master)
    assert visitor.get("/pid").status == 200
    assert "did not answer exec_ping within ping_response_time" in app.log


def test_body_of_any_size_takes_no_memory(example):
    app = example("python/weir.conf")
    visitor, content = Client(app), bytes(1 << 20)
    assert visitor.get("/pid").status == 200
    worker = int(app.command("pool", "show", "app", "--json").stdout.split('"worker_pid": ')[1].split(",")[0])
    before = resident_kb(worker)
    megabytes = 200
    connection = app.connect()
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", str(megabytes << 20))
    connection.endheaders()
    sock = connection.sock.dup()  # http.client lets go of its own when the response begins
    sender = threading.Thread(target=lambda: [sock.sendall(content) for _ in range(megabytes)])
    sender.start()
    response = connection.getresponse()
    assert response.status == 200
    size = 0
    while part := response.read(1 << 20):
        size += len(part)
    sender.join()
    sock.close()
    assert size == megabytes << 20
    assert resident_kb(worker) < before + 16384
