# SPDX-License-Identifier: GPL-2.0
"""What is checked before a module runs, what it may do then, and the examples."""
import json
import pathlib
import re
import urllib.parse

import pytest

from harness import servers
from instance import PORT, PROGRAM, TREE, run


def check(tmp_path, more):
    file = tmp_path / "weir.conf"
    file.write_text(f'listen = {{ "127.0.0.1:{PORT}" }}\npool app {{\nhandler = module\n'
                    f'prefixes = {{ "http://*:{PORT}/" }}\n{more}\n}}\n')
    done = run(PROGRAM, "check", "-c", file, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name, line", [
    ("other_version", "made for version 2 of weir_module.h, this is version 1: compile it again"),
    ("no_symbol", "no symbol 'weir_module'"),
])
def test_check_finds_a_file_that_is_no_module(tmp_path, shared_object, name, line):
    file = shared_object(name)
    code, text = check(tmp_path, f'module = "{file}"')
    assert code == 1 and re.search(rf"weir.conf:5: module '{file}' of pool 'app': {line}", text), text


def test_check_finds_a_missing_or_foreign_file(tmp_path, shared_object):
    code, text = check(tmp_path, 'module = "missing.so"')
    assert code == 1 and "missing.so' of pool 'app': No such file" in text
    (tmp_path / "text.so").write_text("no module\n")
    code, text = check(tmp_path, 'module = "text.so"')
    assert code == 1 and "no shared object" in text
    broken = bytearray(shared_object("probe").read_bytes())
    for size in (20, 64, 1000, len(broken) - 700):
        (tmp_path / "cut.so").write_bytes(broken[:size])
        assert check(tmp_path, 'module = "cut.so"')[0] == 1, size
    code, text = check(tmp_path, "")
    assert code == 1 and "pool 'app' has no module" in text
    closed = shared_object("probe")
    closed.chmod(0o700)
    code, text = check(tmp_path, f'module = "{closed}"')
    assert code == 1 and "is closed to" in text
    code, text = check(tmp_path, f'module = "{closed}"\nmodule_options = {{ "=x" }}')
    assert code == 1 and "'=x' has no key" in text


def test_run_refuses_what_check_refuses(tmp_path, shared_object):
    file = tmp_path / "weir.conf"
    file.write_text(f'listen = {{ "127.0.0.1:{PORT}" }}\npool app {{\nhandler = module\n'
                    f'module = "{shared_object("no_symbol")}"\nprefixes = {{ "http://*:{PORT}/" }}\n}}\n')
    done = run(PROGRAM, "run", "-c", file, "--control", tmp_path / "no.sock", check=False)
    assert done.returncode != 0 and "no symbol 'weir_module'" in done.stderr


@pytest.mark.parametrize("sandbox, allowed", [
    ("strict", {"thread"}),
    ("relaxed", {"socket", "file", "thread"}),
    ("off", {"socket", "file", "thread", "fork", "keeper"}),
])
def test_sandbox_leaves_what_it_says(module, sandbox, allowed):
    it = module(f"sandbox = {sandbox}")
    status, body = it.get("/may")
    rows = dict(line.rsplit(" ", 1) for line in body.decode().splitlines())
    if sandbox == "strict":
        rows["file"] = "0"  # openat is for libc's own files: what it may reach is up to the account
    assert status == 200 and {name for name, value in rows.items() if value == "1"} == allowed
    status, body = it.get("/root")
    assert (status, body) == (200, b"refused\n") if sandbox != "strict" else status == 503, "SIGSYS"
    status = pathlib.Path(f"/proc/{it.wait_worker()}/status").read_text()
    assert re.search(r"NoNewPrivs:\s1\n", status) and re.search(r"CapEff:\s0+\n", status)
    assert re.search(r"Seccomp:\s2\n", status)


def test_options_and_pool_reach_the_module(module):
    it = module(options='"first=a=b", "second"')
    it.wait_log("worker_init in [0-9]+ of pool probe, first option 'first=a=b'")


def test_why_explains_a_module(module):
    it = module()
    text = it.weir.command("why", f"http://127.0.0.1:{PORT}/m/pid").stdout
    assert "decides by itself" in text and "pool" in text


def start_example(weir, name):
    """The example's own configuration, with its module and its files where every account reaches them."""
    config = (TREE / f"examples/modules/{name}.conf").read_text()
    folder = PROGRAM.parent / "examples/modules"
    return config, folder


def test_example_hello(weir, shared_object):
    config, _ = start_example(weir, "hello")
    it = weir(config=config.replace("../../build/examples/modules/hello.so", str(shared_object("hello"))))
    page = it.curl("-i", f"http://127.0.0.1:{PORT}/you%3cb%3e").stdout
    assert "200 OK" in page and "<h1>Good morning, you&lt;b>!</h1>" in page
    connection = it.connect()

    def is_hit():
        before = it.stat("kernel.hits")
        status, body = it.get(connection, "/")
        assert status == 200 and b"Good morning, world!" in body
        return it.stat("kernel.hits") > before

    servers.wait_for("the kernel answers", is_hit)
    assert "405" in it.curl("-i", "-X", "DELETE", f"http://127.0.0.1:{PORT}/").stdout


def test_example_guestbook(weir, shared_object, site):
    config, _ = start_example(weir, "guestbook")
    site.path.chmod(0o777)
    file = site.path / "book.txt"
    it = weir(config=config.replace("../../build/examples/modules/guestbook.so", str(shared_object("guestbook")))
              .replace("/tmp/weir_guestbook.txt", str(file)))
    connection = it.connect()

    def page():
        status, body = it.get(connection, "/")
        assert status == 200
        return body.decode()

    def is_hit():
        before = it.stat("kernel.hits")
        page()
        return it.stat("kernel.hits") > before

    for n in range(5):
        entry = f"<i>guest</i> & {n} ü"
        done = it.curl("-i", "-d", "x=y&text=" + urllib.parse.quote_plus(entry), f"http://127.0.0.1:{PORT}/").stdout
        assert "303 See Other" in done and "Location: /" in done
        assert page().count("<li>") == n + 1, "the entry is on the page at once"
        assert f"<li>&lt;i>guest&lt;/i> &amp; {n} ü\n" in page()
        servers.wait_for("the kernel answers until the next one signs", is_hit)
    pid = json.loads(it.command("status", "--json").stdout)["pools"]["guestbook"]["workers"][0]["worker_pid"]
    it.command("pool", "recycle", "guestbook")
    servers.wait_for("the old worker has ended", lambda: pid not in it.processes())
    assert page().count("<li>") == 5 and "closed" in it.log
    assert "400" in it.curl("-i", "-d", "nothing=1", f"http://127.0.0.1:{PORT}/").stdout
    assert "413" in it.curl("-i", "-d", "text=" + "x" * 5000, f"http://127.0.0.1:{PORT}/").stdout
