# SPDX-License-Identifier: GPL-2.0
"""Which upstream takes a request: balance, rest after failures, health checks; what people see of it."""
import json
import threading

import pytest

from harness.servers import wait_for
from upstreams import echo, once, wait_log


def upstreams_of(weir):
    return json.loads(weir.command("status", "--json").stdout)["pools"]["app"]["upstreams"]


def states(weir):
    return [u["state"] for u in upstreams_of(weir)]


def numbered(n):
    def serve(upstream, line):
        while request := line.read():
            upstream.requests.append(request)
            line.answer(str(n))
    return serve


def test_round_robin_by_weight(proxy, client, upstream):
    a, b = upstream(numbered(0)), upstream(numbered(1))
    weir = proxy(a.address + " weight=3", b.address)
    it = client()
    for _ in range(40):
        assert it.get("/")[0] == 200
    assert (len(a.requests), len(b.requests)) == (30, 10)
    shown = upstreams_of(weir)
    assert [(u["address"], u["weight"], u["requests"], u["failures"]) for u in shown] == [
        (a.address, 3, 30, 0), (b.address, 1, 10, 0)]
    text = weir.command("pool", "show", "app").stdout
    assert a.address in text and "UPSTREAM" in text


@pytest.mark.parametrize("balance, target, fields", [
    ("hash_uri", "/{}", ""), ("hash_header", "/", "X-User: {}\r\n"), ("hash_client", "/{}", "")])
def test_hash_keeps_to_one_upstream(proxy, client, balance, target, fields):
    proxy(*[numbered(n) for n in range(4)], lines=f'balance = {balance}\nhash_header = "X-User"')
    it = client()
    first = [it.get(target.format(k), fields=fields.format(k))[2] for k in range(40)]
    again = [it.get(target.format(k), fields=fields.format(k))[2] for k in range(40)]
    assert first == again
    assert len(set(first)) == (1 if balance == "hash_client" else 4)


def test_least_conn_avoids_the_busy(proxy, client):
    go = threading.Event()

    def slow(upstream, line):
        while request := line.read():
            upstream.requests.append(request)
            if request.target == "/wait":
                go.wait(20)
            line.answer("ok")

    weir = proxy(slow, slow, lines="balance = least_conn")
    one, two = weir.upstreams
    held = client().request("/wait")
    wait_for("one of them has it", lambda: len(one.requests) + len(two.requests) == 1)
    busy, free = (one, two) if one.requests else (two, one)
    it = client()
    for _ in range(10):
        assert it.get("/")[0] == 200
    assert len(free.requests) == 10 and len(busy.requests) == 1
    go.set()
    assert held.response()[0] == 200


def test_upstream_that_fails_rests(proxy, client, upstream):
    bad, good = upstream(once(b"")), upstream(numbered(1))
    weir = proxy(bad, good, lines="max_fails = 2 fail_timeout = 1s")
    it = client()
    for _ in range(20):
        assert it.get("/")[2] == b"1"
    assert len(bad.requests) == 2
    assert states(weir) == ["resting", "ready"]
    wait_log(weir, bad.address, "rests for 1000 ms")
    wait_for("it has rested", lambda: states(weir) == ["ready", "ready"])
    assert [it.get("/")[2] for _ in range(3)] == [b"1"] * 3
    assert len(bad.requests) > 2, "it is tried again"


def test_metrics_of_upstreams(proxy, client, upstream):
    bad, good = upstream(once(b"")), upstream(numbered(1))
    weir = proxy(bad, good, lines="max_fails = 1 fail_timeout = 1h", more='admin = "127.0.0.1:9180"')
    it = client()
    for _ in range(5):
        assert it.get("/")[0] == 200
    text = weir.curl("http://127.0.0.1:9180/metrics").stdout
    labels = '{pool="app",upstream="%s"}'
    for line in (f"weir_upstream_requests_total{labels % good.address} 5",
                 f"weir_upstream_failures_total{labels % bad.address} 1",
                 f"weir_upstream_ready{labels % bad.address} 0", f"weir_upstream_ready{labels % good.address} 1"):
        assert line in text.splitlines(), line


def test_upstreams_that_all_rest_are_asked_nevertheless(proxy, client):
    weir = proxy(once(b""), lines="max_fails = 1 fail_timeout = 60s retries = 0")
    it = client()
    for n in range(5):
        assert it.get("/")[0] == 502
    assert len(weir.upstream.requests) == 5


def test_health_checks(proxy, client):
    is_well = threading.Event()
    is_well.set()

    def serve(upstream, line):
        while request := line.read():
            if request.target == "/health":
                upstream.checks = getattr(upstream, "checks", 0) + 1
                line.answer("", status="200 OK" if is_well.is_set() else "503 Service Unavailable")
            else:
                upstream.requests.append(request)
                line.answer("0")

    weir = proxy(serve, numbered(1), lines='health_path = "/health" health_interval = 100ms health_rise = 2 '
                 "health_fall = 2")
    sick = weir.upstream
    wait_for("it is checked", lambda: getattr(sick, "checks", 0) >= 2)
    assert states(weir) == ["ready", "ready"]
    is_well.clear()
    wait_for("it is down", lambda: states(weir) == ["down", "ready"])
    wait_log(weir, sick.address, "is down", "status")
    it = client()
    assert [it.get("/")[2] for _ in range(10)] == [b"1"] * 10
    is_well.set()
    wait_for("it is back", lambda: states(weir) == ["ready", "ready"])
    wait_log(weir, sick.address, "ready again")
    assert set(it.get("/")[2] for _ in range(10)) == {b"0", b"1"}


def test_health_check_of_a_server_that_hangs(proxy, upstream):
    hangs = upstream(lambda _, line: line.file.read())
    weir = proxy(hangs, echo, lines='health_path = "/" health_interval = 500ms health_timeout = 1s health_fall = 1')
    wait_log(weir, hangs.address, "did not answer within health_timeout")
    assert states(weir) == ["down", "ready"]


def test_state_survives_workers(proxy, client, upstream):
    bad = upstream(once(b""))
    weir = proxy(bad, echo, lines="max_fails = 1 fail_timeout = 1h")
    it = client()
    assert [it.get("/")[0] for _ in range(3)] == [200] * 3
    pool = lambda: json.loads(weir.command("status", "--json").stdout)["pools"]["app"]
    wait_for("it has started", lambda: pool()["state"] == "started")
    weir.command("pool", "recycle", "app")
    wait_for("it was recycled", lambda: pool()["recycles"] == 1)
    assert states(weir) == ["resting", "ready"]
    assert [it.get("/")[0] for _ in range(4)] == [200] * 4
    assert len(bad.requests) == 1
