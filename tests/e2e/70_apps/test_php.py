# SPDX-License-Identifier: GPL-2.0
"""The PHP application of examples/php, under php-fpm as Weir starts it."""
import os
import re
import signal

import pytest

from apps import EXAMPLES, Client, program, sha256, steady, wait_other_program
from harness.servers import wait_for


@pytest.fixture
def notes(example, data):
    return example("php/weir.conf")


def test_pages_forms_and_sessions(notes):
    ann, bob = Client(notes), Client(notes)
    assert "<h1>Notes</h1>" in ann.get("/").text
    reply = ann.post("/", token=ann.token("/"), name="Ann", text="<b>first</b> & last")
    assert (reply.status, reply.headers["Location"]) == (303, "/notes/0")
    page = ann.get("/notes/0").text
    assert "Thank you." in page and "&lt;b&gt;first&lt;/b&gt; &amp; last" in page
    assert "Thank you." not in ann.get("/notes/0").text, "said once"
    assert 'value="Ann"' in ann.get("/").text, "the session knows the name"
    page = bob.get("/").text
    assert '<a href="/notes/0">Ann</a>' in page and 'value="Ann"' not in page
    assert bob.post("/", token=ann.token("/"), name="Bob", text="x").status == 403, "another session's form"
    assert bob.post("/", token=bob.token("/"), name="", text="").headers["Location"] == "/"
    assert "needs a name" in bob.get("/").text
    head = ann.ask("HEAD", "/")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Type"].startswith("text/html")


def test_uploads_and_downloads(notes):
    visitor, content = Client(notes), os.urandom(20_000_000)
    reply = visitor.upload("/files.php", "random.bin", content, token=visitor.token("/files.php"))
    assert (reply.status, reply.headers["Location"]) == (303, "/files.php")
    page = visitor.get("/files.php").text
    assert f"random.bin: {len(content)} bytes, SHA-256 {sha256(content)}" in page
    reply = visitor.get("/files.php/random.bin")
    assert int(reply.headers["Content-Length"]) == len(content) and reply.body == content
    assert visitor.get("/files.php/none.bin").status == 404
    assert visitor.get("/files.php/..%2fnotes").status in (400, 404)


def test_front_controller_files_and_what_is_never_sent(notes):
    visitor = Client(notes)
    style = visitor.get("/style.css")
    assert style.status == 200 and style.headers["Content-Type"].startswith("text/css") and style.headers["ETag"]
    assert visitor.get("/style.css", If_None_Match=style.headers["ETag"]).status == 304
    for target in ("/nothing", "/style.css/evil.php", "/sub/none.php", "/.env", "/notes/99"):
        reply = visitor.get(target)
        assert reply.status == 404 and "<nav>" in reply.text, f"{target} is the front controller's"
    reply = visitor.get("/lib.php")
    assert reply.status == 404 and "<?php" not in reply.text
    for target in ("/index.php", "/about.php", "/files.php", "/lib.php/x", "/index.php/"):
        assert "<?php" not in visitor.get(target).text, target


def test_files_come_from_the_kernel_the_second_time(notes):
    visitor = Client(notes)
    visitor.get("/style.css")
    before = notes.stat("kernel.hits")
    assert visitor.get("/style.css").status == 200
    assert notes.stat("kernel.hits") == before + 1
    visitor.get("/")
    visitor.get("/")
    assert notes.stat("kernel.hits") == before + 1, "pages of a session never"


def test_why_says_who_answers(notes):
    def why(path):
        return notes.command("why", f"http://127.0.0.1:8080{path}").stdout

    Client(notes).get("/style.css")
    assert "the FastCGI application answers it, with the script" in why("/files.php/x")
    assert "site/index.php" in why("/nothing")
    assert "expires" in why("/style.css") or "cached" in why("/style.css")


def test_recycling_loses_no_request(notes):
    wait_for("it serves", lambda: Client(notes).get("/about.php").status == 200)
    before = program(notes, "notes")["pid"]
    with steady(notes, "/?q=1") as seen:
        wait_for("answers", lambda: len(seen) > 20)
        notes.command("pool", "recycle", "notes")
        after = wait_other_program(notes, "notes", before)
        answered = len(seen)
        wait_for("answers of the next", lambda: len(seen) > answered + 20)
    assert after != before and program(notes, "notes")["restarts"] == 0


def test_killed_master_is_started_again_and_requests_wait_for_it(notes):
    visitor = Client(notes)
    assert visitor.get("/").status == 200
    before = program(notes, "notes")["pid"]
    os.kill(before, signal.SIGKILL)
    assert wait_other_program(notes, "notes", before) != before
    assert visitor.get("/").status == 200
    now = program(notes, "notes")
    assert now["restarts"] == 1
    assert f"program {before} of pool 'notes' died of signal 9 (Killed)" in notes.log
    assert re.search(rf"notes +\d+ +{now['pid']} ", notes.command("status").stdout)


def test_configuration_without_exec_finds_a_php_fpm_that_runs_already(weir, netns, data, tmp_path_factory):
    """As the comment in the example says: upstreams instead of exec; over TCP."""
    conf = data / "fpm.conf"
    conf.write_text("[global]\ndaemonize = no\nerror_log = /dev/null\n[www]\nlisten = 127.0.0.1:9000\npm = static\n"
                    "pm.max_children = 2\nclear_env = no\n")
    fpm = netns.popen("setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "/usr/sbin/php-fpm8.2",
                      "--nodaemonize", "--fpm-config", str(conf))
    try:
        instance = weir(config=f"""
listen = {{ "127.0.0.1:8080" }}
pool notes {{
	handler = fastcgi
	root = "{EXAMPLES}/php/site"
	fastcgi_front = "/index.php"
	upstreams = {{ "127.0.0.1:9000" }}
	prefixes = {{ "http://*:8080/" }}
}}
""")
        visitor = Client(instance)
        wait_for("php-fpm answers", lambda: visitor.get("/").status == 200)
        assert visitor.post("/", token=visitor.token("/"), name="Ann", text="one").status == 303
        fpm.terminate()
        fpm.wait(20)
        assert visitor.get("/").status == 502
        assert "127.0.0.1:9000" in instance.log, "the log says who does not answer"
    finally:
        if fpm.poll() is None:
            fpm.kill()
            fpm.wait()
