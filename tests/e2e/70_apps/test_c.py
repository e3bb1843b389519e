# SPDX-License-Identifier: GPL-2.0
"""The C server of examples/c: no HTTP library, one process a connection, a TCP socket."""
import re

import pytest

from apps import Client, program, steady, wait_other_program
from harness.servers import wait_for


@pytest.fixture
def app(example, server, monkeypatch):
    monkeypatch.setenv("SERVER", str(server))
    return example("c/weir.conf")


def test_serves_keeps_client_connections_and_survives_a_crash(app):
    visitor = Client(app)
    connection = visitor.connection
    first, second = visitor.get("/").text, visitor.get("/").text
    pid = program(app, "app")["pid"]
    assert re.fullmatch(rf"process \d+ of server {pid}\n", first) and first != second
    assert visitor.connection is connection, "the client's connection stays open though the server's are not"
    assert visitor.ask("POST", "/", b"x" * 100_000).status == 200
    visitor.get("/crash")
    other = wait_other_program(app, "app", pid)
    assert f"of server {other}" in visitor.get("/").text
    assert "died of signal 11 (Segmentation fault)" in app.log
    assert f"program: server {other} accepts" in app.log


def test_crashes_in_a_row_take_the_pool_offline(weir, server):
    app = weir(config=f"""
listen = {{ "127.0.0.1:8080" }}
pool app {{
	handler = exec
	exec = {{ "{server}" }}
	rapid_fail_max_crashes = 3
	http_503_verbosity = full
	prefixes = {{ "http://*:8080/" }}
}}
""")
    visitor = Client(app)
    for number in range(3):
        visitor.get("/crash")
        app.wait_stat("pools.app.crashes", number + 1)
    wait_for("it is offline", lambda: "offline" in app.command("pool", "list").stdout)
    reply = Client(app).get("/")
    assert reply.status == 503
    app.command("pool", "start", "app")
    assert wait_for("it serves again", lambda: Client(app).get("/").status == 200)


def test_recycling_loses_no_request(app):
    before = program(app, "app")["pid"]
    with steady(app, "/") as seen:
        wait_for("answers", lambda: len(seen) > 20)
        app.command("pool", "recycle", "app")
        wait_other_program(app, "app", before)
