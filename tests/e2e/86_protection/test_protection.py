# SPDX-License-Identifier: GPL-2.0
"""Protection in XDP: access lists, rates and limits of one source, and request sizes. Live by command, and counted."""
import contextlib
import json
import socket
import time

import pytest

from harness.net import CLIENT_IP4, CLIENT_IP6, SERVER_IP4, SERVER_IP6
from harness.servers import wait_for
from instance import PORT, WAIT_SECONDS, run, PROGRAM

CONFIG = """
listen = {{ "10.77.0.1:8080", "[fd77::1]:8080" }}
{more}
pool site {{
	root = "{root}"
	prefixes = {{ "http://*:8080/" }}
	{pool}
}}
"""


@pytest.fixture
def serve(weir, site, netns_pair):
    def start(more="", pool=""):
        return weir(netns=netns_pair.server, config=CONFIG.format(root=site.path, more=more, pool=pool))
    return start


def connect(pair, address=SERVER_IP4, seconds=WAIT_SECONDS):
    return pair.client.connect(address, PORT, seconds)


def ask(s, target="/small.txt", more=""):
    """(status, body) of one request; (0, b"") when the connection has ended."""
    try:
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            more_bytes = s.recv(65536)
            if not more_bytes:
                return 0, b""
            got += more_bytes
    except ConnectionError:
        return 0, b""
    head, body = got.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += s.recv(65536)
    return int(head.split()[1]), body


def reaches(pair, address=SERVER_IP4):
    try:
        with connect(pair, address, 1.5) as s:
            return ask(s)[0] == 200
    except OSError:
        return False


def verdict(instance, name):
    return instance.stat(f"kernel.verdicts.{name}")


def test_a_denied_source_gets_nothing_not_even_on_open_connections(serve, netns_pair, site):
    instance = serve()
    s = connect(netns_pair)
    assert ask(s) == (200, site.files["small.txt"])
    instance.command("acl", "deny", "10.77.0.0/24")
    s.settimeout(1)
    with pytest.raises(TimeoutError):
        ask(s)
    assert not reaches(netns_pair)
    assert reaches(netns_pair, SERVER_IP6)
    assert verdict(instance, "drop_denied") > 0
    rows = json.loads(instance.command("acl", "list", "--json").stdout)["prefixes"]
    assert [(r["prefix"], r["action"]) for r in rows] == [("10.77.0.0/24", "deny")] and rows[0]["packets"] > 0
    instance.command("acl", "remove", "10.77.0.0/24")
    assert reaches(netns_pair)
    s.close()


def test_the_longest_prefix_decides(serve, netns_pair):
    serve(f'deny = "0.0.0.0/0 ::/0"\nallow = "{CLIENT_IP4} fd77::/64"')
    assert reaches(netns_pair) and reaches(netns_pair, SERVER_IP6)


def test_lists_of_the_configuration_hold_from_the_start(serve, netns_pair):
    instance = serve(f'deny = "{CLIENT_IP6}/128"')
    assert not reaches(netns_pair, SERVER_IP6)
    assert reaches(netns_pair)
    instance.command("acl", "allow", CLIENT_IP6)
    assert reaches(netns_pair, SERVER_IP6)


@pytest.mark.parametrize("prefix", ["10.0.0.0/33", "10.0.0", "x", "fd77::/129", "10.0.0.0/", "10.0.0.0/+8"])
def test_what_is_no_prefix_is_refused_and_named(serve, prefix):
    instance = serve()
    done = instance.command("acl", "deny", prefix, check=False)
    assert done.returncode == 1 and prefix in done.stderr


def test_requests_over_the_rate_get_429_and_then_go_on(serve, netns_pair, site):
    instance = serve("limit_request_rate = 10\nlimit_request_burst = 5")
    with connect(netns_pair) as s:
        statuses = []
        while len(statuses) < 20:
            statuses.append(ask(s)[0])
            if statuses[-1] != 200:
                break
    assert statuses[-1] == 429 and 5 <= len(statuses) <= 8
    assert instance.stat("pools.site.refused_RateLimit") == 1
    shown = json.loads(instance.command("limit", "show", "--json").stdout)
    assert shown["sources"][0]["source"] == CLIENT_IP4 and shown["sources"][0]["refused"] == 1
    wait_for("the bucket fills again", lambda: reaches(netns_pair))
    assert reaches(netns_pair, SERVER_IP6)  # another source


def test_misses_count_like_hits(serve, netns_pair):
    serve("limit_request_rate = 1\nlimit_request_burst = 3", pool="kernel_cache = off")
    with connect(netns_pair) as s:
        assert [ask(s)[0] for _ in range(1)] == [200]
    statuses = []
    for _ in range(5):  # each on a connection of its own: a worker's connection is not XDP's to count
        with connect(netns_pair) as s:
            statuses.append(ask(s)[0])
    assert 429 in statuses and statuses[0] == 200


def test_an_allowed_source_has_no_limit(serve, netns_pair):
    serve(f'limit_request_rate = 1\nallow = "{CLIENT_IP4}"')
    with connect(netns_pair) as s:
        assert [ask(s)[0] for _ in range(30)] == [200] * 30


def test_over_the_rate_dropped_requests_are_repeated_by_the_client(serve, netns_pair, site):
    instance = serve("limit_request_rate = 5\nlimit_request_burst = 2\nlimit_action = drop")
    with connect(netns_pair) as s:
        for _ in range(6):
            assert ask(s) == (200, site.files["small.txt"])
    assert verdict(instance, "drop_rate") > 0


def test_over_the_rate_requests_may_go_to_the_pool(serve, netns_pair, site):
    instance = serve("limit_request_rate = 1\nlimit_request_burst = 1\nlimit_action = pool")
    with connect(netns_pair) as s:
        for _ in range(10):
            assert ask(s) == (200, site.files["small.txt"])
    assert instance.stat("kernel.reasons.rate") > 0


def test_syns_over_the_rate_are_dropped(serve, netns_pair):
    instance = serve("limit_syn_rate = 2\nlimit_syn_burst = 4")
    with contextlib.ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(connect(netns_pair))
        with pytest.raises(OSError):
            connect(netns_pair, seconds=0.2)
    assert verdict(instance, "drop_syn_rate") > 0
    wait_for("connections are taken again", lambda: reaches(netns_pair))


def test_a_source_has_only_so_many_connections(serve, netns_pair):
    instance = serve("limit_connections = 5")
    held = []
    with pytest.raises(OSError):
        for _ in range(6):
            held.append(connect(netns_pair, seconds=1))
            assert ask(held[-1])[0] == 200
    assert len(held) == 5
    assert verdict(instance, "drop_conn_limit") > 0
    for s in held:
        s.close()
    wait_for("closed connections are counted off", lambda: reaches(netns_pair))


def test_bandwidth_of_one_source(serve, netns_pair):
    instance = serve("limit_bandwidth = 8")  # kB a second
    sent, began = 0, time.monotonic()
    while sent < 40_000:
        with connect(netns_pair) as s:
            status, body = ask(s, "/index.html")
            if status == 200:
                sent += len(body) + 200
            else:
                break
    assert status == 429 or time.monotonic() - began > 2
    assert instance.stat("pools.site.refused_RateLimit") >= (status == 429)


def test_limits_change_live(serve, netns_pair):
    instance = serve()
    instance.command("limit", "set", "request_rate", "1")
    with connect(netns_pair) as s:
        assert 429 in [ask(s)[0] for _ in range(3)]
    instance.command("limit", "set", "request_rate", "0")
    with connect(netns_pair) as s:
        assert [ask(s)[0] for _ in range(20)] == [200] * 20
    for name, value in (("nothing", "1"), ("request_rate", "1.5"), ("action", "shout"), ("connections", "many")):
        assert instance.command("limit", "set", name, value, check=False).returncode == 1


def test_mistakes_in_the_configuration_are_named(tmp_path):
    (tmp_path / "weir.conf").write_text('listen = { "127.0.0.1:8080" }\ndeny = "10.0.0.0/8 nonsense"\n'
                                        'limit_action = shout\nlimit_source_bits = 33\n'
                                        'pool site { root = "/tmp" }\n')
    done = run(PROGRAM, "check", "-c", tmp_path / "weir.conf", check=False)
    assert done.returncode == 1
    for text in ("weir.conf:2", "'nonsense'", "weir.conf:3", "'shout'", "weir.conf:4"):
        assert text in done.stdout + done.stderr, text


@pytest.mark.parametrize("more, target, fields, status, phrase", [
    ("max_request_bytes = 200", "/small.txt", "X: " + "a" * 250 + "\r\n", 431, "RequestLength"),
    ("max_field_length = 64", "/small.txt", "X: " + "a" * 80 + "\r\n", 431, "FieldLength"),
    ("url_segment_max_length = 12", "/" + "a" * 13, "", 400, "URL"),
    ("url_segment_max_count = 3", "/a/b/c/d", "", 400, "URL"),
], ids=["request", "field", "segment", "segments"])
def test_requests_over_a_size_are_refused_with_their_phrase(serve, netns_pair, more, target, fields, status, phrase):
    serve(more)
    with connect(netns_pair) as s:
        got, body = ask(s, target, fields)
        assert got == status and phrase in body.decode()
    assert reaches(netns_pair)


def test_a_large_head_is_not_answered_from_the_cache(serve, netns_pair):
    serve("max_request_bytes = 300")
    with connect(netns_pair) as s:
        assert [ask(s)[0] for _ in range(3)] == [200] * 3
        assert ask(s, more="X: " + "a" * 400 + "\r\n")[0] == 431
