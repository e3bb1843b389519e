# SPDX-License-Identifier: GPL-2.0
"""A module that crashes, hangs, leaks, is recycled or replaced: the pool goes on."""
import os
import re
import signal

import pytest

from harness import servers
from harness.pool_client import wrong
from moduling import Reader, noise

GET = b"GET /m%s HTTP/1.1\r\nHost: a.test\r\n\r\n"


@pytest.mark.parametrize("how", ["segv", "abort", "exit"])
def test_crash_costs_one_request(module, how):
    it = module("threads = 4")
    old = it.wait_worker()
    idle = it.connect()
    assert it.get("/pid", idle) == (200, f"{old}\n".encode())
    with it.load() as load:
        load.open(3).go("/m/sleep/400", count=1)
        servers.wait_for("others are in flight", lambda: it.stats()["threads_busy"] == 3)
        status, _, response = it.ask("GET", f"/crash/{how}")
        assert status == 503 and response.getheader("Retry-After")
        counts = load.wait()
        assert counts["ok"] + counts["status_503"] == 3 and not wrong(counts, "status_503"), counts
    status, body = it.get("/pid", idle)
    assert status == 200 and int(body) != old, "the idle connection goes on in the new worker"
    assert it.pool()["crashes"] == 1
    it.wait_log(rf"in flight: GET /m/crash/{how} from 127.0.0.1")


def test_crash_inside_a_body_is_a_503(module):
    it = module()
    sock = it.socket()
    sock.sendall(b"POST /m/count/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + noise(500))
    servers.wait_for("the module reads", lambda: it.stats()["threads_busy"] == 1)
    os.kill(it.wait_worker(), 11)
    assert Reader(sock).head()[0] == 503


def test_crash_inside_a_response_resets_the_connection(module):
    it = module()
    sock = it.socket()
    sock.sendall(b"POST /m/talk HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    reader = Reader(sock)
    assert reader.head()[0] == 200 and reader.until(b"first\n\r\n")
    os.kill(it.wait_worker(), 11)
    with pytest.raises(ConnectionResetError):
        reader.rest()
    assert it.get("/pid")[0] == 200


def test_worker_whose_threads_all_hang_is_replaced_by_the_ping(module):
    it = module("threads = 2\nping_interval = 100ms\nping_response_time = 500ms")
    old = it.wait_worker()
    with it.load() as load:
        load.open(2).go("/m/hang", count=1)
        counts = load.wait()
    assert counts["status_503"] == 2 and not wrong(counts, "status_503"), counts
    it.wait_worker(other_than=(old,))
    assert it.get("/pid")[0] == 200
    assert "did not answer a ping" in it.weir.log


def test_request_timeout_frees_the_client_of_a_module_that_hangs(module):
    it = module("request_timeout = 400ms")
    sock = it.socket()
    sock.sendall(GET % b"/hang")
    assert sock.recv(1) == b""
    assert it.get("/pid")[0] == 200 and it.stats()["timer_request"] == 1


def test_request_timeout_ends_a_read_that_waits(module):
    it = module("threads = 1\nrequest_timeout = 400ms")
    sock = it.socket()
    sock.sendall(b"POST /m/count/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
    servers.wait_for("the thread is free again", lambda: it.stats()["timer_request"] == 1
                     and it.stats()["threads_busy"] == 0)
    assert it.get("/pid")[0] == 200 and it.pool()["crashes"] == 0


def test_leak_is_ended_by_recycling(module):
    it = module("periodic_restart_memory = 150M")
    old = it.wait_worker()
    assert it.get("/leak/200")[0] == 200
    new = it.wait_worker(other_than=(old,))
    assert it.get("/pid") == (200, f"{new}\n".encode())
    assert it.pool()["crashes"] == 0 and ": Memory" in it.weir.log


def test_recycling_under_load_ends_each_worker_cleanly(module):
    it = module("threads = 4")
    workers = [it.wait_worker()]
    with it.load() as gets, it.load() as streams:
        gets.open(6).go("/m/sleep/2", think_ms=1)
        streams.open(2).go("/m/length/300000", think_ms=1)
        for _ in range(10):
            it.weir.command("pool", "recycle", "probe")
            workers.append(it.wait_worker(other_than=workers))
        for counts in (gets.halt(), streams.halt()):
            assert counts["ok"] > 10 and not wrong(counts), counts
    for pid in workers[:-1]:
        it.wait_log(rf"worker_fini in {pid} after \d+ requests")
    log = it.weir.log
    for pid in workers[:-1]:
        began = len(re.findall(rf"thread_init in {pid}\b", log))
        assert began == len(re.findall(rf"thread_fini in {pid}\b", log)), f"threads of {pid}"
        last = [line for line in log.splitlines() if f" in {pid} " in line or line.endswith(f" in {pid}")][-1]
        assert f"worker_fini in {pid}" in last, "the worker's end comes last"
    assert it.pool()["crashes"] == 0


def test_stop_ends_threads_and_worker(module):
    it = module()
    pid = it.wait_worker()
    assert it.get("/pid")[0] == 200
    it.weir.stop()
    assert re.search(rf"thread_fini in {pid} after 1 requests\n.*worker_fini in {pid} after 1 requests", it.weir.log)


def test_new_file_of_the_module_that_does_not_start_changes_nothing(module, shared_object):
    it = module()
    old = it.wait_worker()
    file, broken = shared_object("probe"), shared_object("other_version")
    before = file.with_suffix(".before")
    file.rename(before)
    broken.rename(file)
    it.weir.command("pool", "recycle", "probe")
    it.wait_log("was made for version 2 of weir_module.h, this is version 1")
    it.wait_log(r"worker \d+ of pool 'probe' ended with status 1")
    assert it.get("/pid") == (200, f"{old}\n".encode())
    before.rename(file)
    it.weir.command("pool", "recycle", "probe")
    it.wait_worker(other_than=(old,))
    assert it.get("/pid")[0] == 200


def test_module_that_does_not_start_takes_the_pool_offline(weir, shared_object):
    from instance import PORT

    instance = weir(config=f"""
listen = {{ "127.0.0.1:{PORT}" }}
pool probe {{
	handler = module
	module = "{shared_object("probe")}"
	module_options = {{ "refuse" }}
	prefixes = {{ "http://*:{PORT}/" }}
	rapid_fail_max_crashes = 3
}}
""")
    servers.wait_for("503 AppOffline", lambda: "503" in instance.curl("-i", f"http://127.0.0.1:{PORT}/").stdout)
    servers.wait_for("the pool is offline", lambda: '"offline"' in instance.command("status", "--json").stdout)
    assert "worker_init() returned -1" in instance.log


def test_reload_with_other_options_replaces_the_worker_and_keeps_connections(module):
    it = module(options='"first"')
    old, connection = it.wait_worker(), it.connect()
    assert it.get("/pid", connection) == (200, f"{old}\n".encode())
    file = it.weir.folder / "weir.conf"
    file.write_text(file.read_text().replace('"first"', '"second"'))
    with it.load() as load:
        load.open(4).go("/m/sleep/2", think_ms=1)
        it.weir.process.send_signal(signal.SIGHUP)
        it.wait_log(r"first option 'second'")
        it.wait_log(rf"worker_fini in {old} ")
        counts = load.halt()
        assert counts["ok"] > 10 and not wrong(counts), counts
    new = it.wait_worker(other_than=(old,))
    assert it.get("/pid", connection) == (200, f"{new}\n".encode()), "the same connection"
    file.write_text(file.read_text().replace("probe.so", "gone.so"))
    it.weir.process.send_signal(signal.SIGHUP)
    it.wait_log("gone.so' of pool 'probe': No such file")
    assert it.get("/pid", connection) == (200, f"{new}\n".encode()), "a bad file changes nothing"
