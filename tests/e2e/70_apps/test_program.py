# SPDX-License-Identifier: GPL-2.0
"""A pool's program through what happens around it: its keeper, the supervisor, the configuration, idle times, limits."""
import json
import os
import pathlib
import re
import signal
import socket

import pytest

from apps import EXAMPLES, Client, program, steady, wait_other_program
from harness.servers import wait_for


def config(server, more="", pool="app"):
    return f"""
listen = {{ "127.0.0.1:8080" }}
pool {pool} {{
	handler = exec
	exec = {{ "{server}" }}
	prefixes = {{ "http://*:8080/" }}
	{more}
}}
"""


def pool(weir, name="app"):
    return json.loads(weir.command("status", "--json").stdout)["pools"][name]


def keeper(weir):
    return pool(weir)["workers"][0]["keeper_pid"]


def is_alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def test_its_account_environment_and_descriptors(weir, server):
    app = weir(config=config(server, 'environment = { "GREETING=hello" }\nnofile = 300'))
    pid = wait_for("a program", lambda: program(app, "app")["pid"])
    wait_for("it runs", lambda: os.readlink(f"/proc/{pid}/exe") == str(server.resolve()))
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    www = re.search(r"^www-data:x:(\d+):", pathlib.Path("/etc/passwd").read_text(), re.M)[1]
    assert re.search(r"^Uid:\s+(\d+)\s+\1", status, re.M)[1] == www
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^CapBnd:", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    environ = pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert {"LISTEN_FDS=1", f"LISTEN_PID={pid}", "LISTEN_FDNAMES=app", "GREETING=hello", "USER=www-data"} <= set(environ)
    assert sorted(os.listdir(f"/proc/{pid}/fd"), key=int) == ["0", "1", "2", "3"]
    assert "Max open files            300" in pathlib.Path(f"/proc/{pid}/limits").read_text()
    path = pathlib.Path(f"{app.control}.exec/app.0")
    assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == int(www)
    nobody = socket.socket(socket.AF_UNIX)
    assert app.netns.call(lambda: connect_as(65534, nobody, path)) == "PermissionError"


def connect_as(uid, sock, path):
    """In a child, because it gives its rights up."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        try:
            sock.connect(str(path))
            os.write(write, b"connected")
        except OSError as error:
            os.write(write, type(error).__name__.encode())
        os._exit(0)
    os.close(write)
    text = os.read(read, 100).decode()
    os.close(read)
    os.wait()
    return text


def test_keeper_that_is_killed_takes_its_program_with_it(weir, server):
    app = weir(config=config(server))
    visitor = Client(app)
    assert visitor.get("/").status == 200
    before = program(app, "app")["pid"]
    os.kill(keeper(app), signal.SIGKILL)
    after = wait_other_program(app, "app", before)
    assert f"of server {after}" in Client(app).get("/").text
    wait_for("the old one is gone", lambda: not is_alive(before))


def test_children_of_a_killed_program_are_gone(example):
    """gunicorn's workers would go on accepting."""
    app = example("python/weir.conf")
    worker, master = map(int, Client(app).get("/pid").text.split())
    os.kill(keeper(app), signal.SIGKILL)
    wait_other_program(app, "app", master)
    wait_for("all of it is gone", lambda: not is_alive(worker) and not is_alive(master))
    assert str(master) not in Client(app).get("/pid").text


def test_supervisor_that_is_killed_leaves_it_running(weir, server):
    app = weir(config=config(server))
    assert Client(app).get("/").status == 200
    before = program(app, "app")["pid"]
    app.remember_programs()
    app.process.kill()
    app.process.wait()
    assert f"of server {before}" in Client(app).get("/").text
    again = weir(again=app)
    assert program(again, "app")["pid"] == before
    with steady(again, "/"):
        again.command("pool", "recycle", "app")
        wait_other_program(again, "app", before)


def test_reload_replaces_it_without_a_failed_request(weir, server):
    app = weir(config=config(server))
    assert Client(app).get("/").status == 200
    before = program(app, "app")["pid"]
    with steady(app, "/") as seen:
        wait_for("answers", lambda: len(seen) > 20)
        (app.folder / "weir.conf").write_text(config(server, "threads = 2"))
        app.process.send_signal(signal.SIGHUP)
        wait_for("it is replaced", lambda: "replaced: 1 pool slot" in app.log)
        wait_for("the supervisor answers", app.is_ready)
        wait_other_program(app, "app", before)
        wait_for("the old one has ended", lambda: not is_alive(before))
        answered = len(seen)
        wait_for("answers of the next", lambda: len(seen) > answered + 20)


def test_on_demand_it_starts_with_a_request_and_ends_without(weir, server):
    app = weir(config=config(server, "start_mode = on_demand\nidle_timeout = 500ms"))
    wait_for("it waits", lambda: pool(app)["state"] == "waiting")
    assert program(app, "app")["pid"] == 0
    visitor = Client(app)
    assert visitor.get("/").status == 200
    first = program(app, "app")["pid"]
    assert first
    wait_for("it rests", lambda: program(app, "app")["pid"] == 0 and pool(app)["state"] == "waiting")
    wait_for("it is gone", lambda: not is_alive(first))
    assert visitor.get("/").status == 200, "on the same connection"
    assert program(app, "app")["restarts"] == 0


def test_each_slot_has_its_own(weir, server):
    app = weir(config=config(server, "slots = 2"))
    pids = [wait_for("a program", lambda: program(app, "app", slot)["pid"]) for slot in (0, 1)]
    seen = set()
    wait_for("both serve", lambda: seen.add(Client(app).get("/").text.split()[-1]) or {str(pid) for pid in pids} == seen)


def test_stopped_pool_has_none(weir, server):
    app = weir(config=config(server))
    assert Client(app).get("/").status == 200
    pid = program(app, "app")["pid"]
    app.command("pool", "stop", "app")
    wait_for("it is gone", lambda: not is_alive(pid))
    assert Client(app).get("/").status == 503
    app.command("pool", "start", "app")
    wait_for("it serves again", lambda: Client(app).get("/").status == 200)


def test_program_that_cannot_run_is_said(weir):
    app = weir(config=f"""
listen = {{ "127.0.0.1:8080" }}
pool app {{
	handler = exec
	exec = {{ "/usr/bin/gunicorn", "no_such_module:application" }}
	rapid_fail_max_crashes = 2
	prefixes = {{ "http://*:8080/" }}
}}
""")
    wait_for("it is offline", lambda: pool(app)["state"] == "offline")
    assert "No module named 'no_such_module'" in app.log and "ended with status 3" in app.log
    assert Client(app).get("/").status == 503


@pytest.mark.parametrize("name", ["python/weir.conf", "python/uvicorn.conf", "c/weir.conf", "node/weir.conf", "php/weir.conf"])
def test_examples_are_right(name, server, monkeypatch):
    from instance import PROGRAM, run

    monkeypatch.setenv("SERVER", str(server))
    done = run(PROGRAM, "check", "-c", EXAMPLES / name)
    assert "error" not in done.stderr
