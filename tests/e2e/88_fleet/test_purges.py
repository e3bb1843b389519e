# SPDX-License-Identifier: GPL-2.0
"""Purges between hosts over a real server, and what becomes of them when that server or a host is away."""
import os
import signal
import time

import pytest
from harness.servers import wait_for

from conftest import STREAM, Client
from instance import TREE

SECOND = 1.0
RULES = ["+multi", "+exec", "+xadd", "+xrange", "+xrevrange", "+xread", "+zadd", "+zrem", "+zcount",
         "+zremrangebyscore"]  # as docs/fleet.md has them


def wait_new(host, target):
    """Within a second of the command's end the old response is gone."""
    wait_for(f"{target} is new", lambda: not host.has_old(target), timeout=SECOND, every=0.01)


def test_a_purge_on_one_host_is_done_on_the_other_within_a_second(pair):
    a, b = pair
    for it in pair:
        it.keep("/a", "/b", "/x/1", "/x/2")
        it.keep("/t", fields="Cache-Tag: news\r\n")
    out = a.weir.command("cache", "purge", "http://weir.test:8080/a").stdout
    assert "1 other host told" in out
    wait_new(b, "/a")
    assert not a.has_old("/a") and b.has_old("/b") and a.has_old("/b")
    b.weir.command("cache", "purge", "--prefix", "/x/")
    wait_new(a, "/x/1")
    wait_new(a, "/x/2")
    a.weir.command("cache", "purge", "--tag", "news")
    wait_new(b, "/t")
    assert b.has_old("/b")
    a.weir.command("cache", "flush", "app")
    wait_new(b, "/b")
    assert b.fleet["applied"] == 3 and a.fleet["published"] == 3 and a.fleet["applied"] == 1


def purge(host, target):
    client = Client(host.netns)
    try:
        assert client.get(target, method="PURGE")[0] == 200
    finally:
        client.close()


def test_the_purge_method_is_for_all_hosts(host, redis):
    a, b = (host(pool='cache_purge_from = {"127.0.0.1"}') for _ in range(2))
    a.wait_connected(1)
    b.wait_connected(1)
    long = "/" + "/".join(["l" * 60] * 10)
    for it in (a, b):
        it.keep("/a", "/b", long)
    purge(a, "/a")
    wait_new(b, "/a")
    assert not a.has_old("/a") and a.has_old("/b") and b.has_old("/b")
    purge(b, long)
    wait_new(a, long)
    assert a.has_old("/b")
    redis.process.send_signal(signal.SIGSTOP)
    wait_for("it says so", lambda: not a.fleet["connected"])
    purge(a, "/b")
    redis.process.send_signal(signal.SIGCONT)
    wait_for("what waited is told", lambda: not b.has_old("/b"))
    assert a.fleet["flushes"] == b.fleet["flushes"] == 1


def test_more_purges_than_are_kept_flush_the_pool_elsewhere(host, redis):
    a, b = (host(pool='cache_purge_from = {"127.0.0.1"}') for _ in range(2))
    a.wait_connected(1)
    b.wait_connected(1)
    b.keep("/kept")
    a.weir.process.send_signal(signal.SIGSTOP)
    for n in range(40):
        purge(a, f"/{n}")
    a.weir.process.send_signal(signal.SIGCONT)
    wait_new(b, "/kept")
    assert "pool" in redis.cli("XRANGE", STREAM, "-", "+")


def test_own_purges_are_not_done_again(pair):
    a, b = pair
    for _ in range(20):
        a.weir.command("cache", "purge", "/a")
    wait_for("the other host has done them", lambda: b.fleet["applied"] == 20)
    assert a.fleet["applied"] == 0 and a.fleet["flushes"] == 1 == b.fleet["flushes"]


def test_a_host_that_was_away_catches_up(pair):
    a, b = pair
    b.keep("/a", "/b")
    b.kill_supervisor()
    a.weir.command("cache", "purge", "/a")
    assert b.has_old("/a"), "its workers serve on while nobody tells them"
    b.restart()
    b.wait_connected()
    wait_new(b, "/a")
    assert b.has_old("/b") and b.fleet["applied"] == 1 and b.fleet["flushes"] == 0


@pytest.mark.parametrize("loss", ["trimmed", "deleted", "forgotten"])
def test_a_host_that_cannot_catch_up_flushes(pair, redis, loss):
    a, b = pair
    b.keep("/a", "/b")
    b.kill_supervisor()
    for _ in range(3):
        a.weir.command("cache", "purge", "/a")
    if loss == "trimmed":
        redis.cli("XTRIM", STREAM, "MAXLEN", "1")
    elif loss == "deleted":
        redis.cli("DEL", STREAM)
    else:
        (b.weir.folder / f"{b.weir.folder.name}.fleet").unlink()
    b.restart()
    b.wait_connected()
    wait_for("it has flushed", lambda: b.fleet["flushes"] == 1)
    assert not b.has_old("/a") and not b.has_old("/b")
    assert "emptied the caches of all pools" in b.weir.log
    b.keep("/c")
    a.weir.command("cache", "purge", "/c")
    wait_new(b, "/c")


def test_a_stream_that_is_made_anew_between_two_looks_flushes(pair, redis):
    _, b = pair
    b.keep("/a")
    redis.cli("EVAL", "redis.call('DEL', KEYS[1]) "
              "redis.call('XADD', KEYS[1], '*', 'v', '1', 'from', 'x', 'what', 'url', 'text', '/b')", "1", STREAM)
    wait_for("it has flushed", lambda: b.fleet["flushes"] == 2)
    assert not b.has_old("/a")


def test_the_server_restarts(pair, redis):
    a, b = pair
    b.keep("/a")
    redis.stop()
    for it in pair:
        wait_for("it says so", lambda: not it.fleet["connected"])
    assert "not connected" in a.weir.command("status").stdout
    redis.start()
    for it in pair:
        it.wait_connected()
    wait_for("nothing was kept: it has flushed", lambda: b.fleet["flushes"] == 2)
    a.keep("/b")
    b.keep("/b")
    assert "told" in a.weir.command("cache", "purge", "/b").stdout
    wait_new(b, "/b")


def test_without_the_server_a_purge_is_done_here_and_says_so(pair, redis):
    a, b = pair
    a.keep("/a")
    b.keep("/a")
    redis.stop()
    done = a.weir.command("cache", "purge", "/a", check=False)
    assert done.returncode == 3 and "not told" in done.stderr and "here" in done.stderr
    assert not a.has_old("/a") and b.has_old("/a")
    done = a.weir.command("cache", "flush", "app", check=False)
    assert done.returncode == 3 and a.fleet["publish_failures"] == 2


def test_a_server_that_does_not_answer_holds_nobody_up(pair, redis):
    a, _ = pair
    a.keep("/a")
    redis.process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        done = a.weir.command("cache", "purge", "/a", check=False)
        assert done.returncode == 3 and "no answer" in done.stderr
        assert time.monotonic() - begin < 8
        assert not a.has_old("/a")
        begin = time.monotonic()
        a.weir.command("status")
        assert time.monotonic() - begin < SECOND
    finally:
        redis.process.send_signal(signal.SIGCONT)


def test_garbage_in_the_stream_is_ignored_and_counted(pair, redis):
    a, b = pair
    b.keep("/a", "/b")
    good = {"v": "1", "from": "x", "what": "url", "text": "/a"}
    bad = [dict(good, v="2"), dict(good, what="everything"), dict(good, text=""), dict(good, text="/a /b"),
           dict(good, text="/" + "a" * 5000), dict(good, more="1"), {"text": "/a"}, dict(good, what="pool", text="none"),
           dict(good, text="ftp:///x\x01")]
    for entry in bad:
        redis.cli("XADD", STREAM, "*", *(word for pair_ in entry.items() for word in pair_))
    redis.cli("XADD", STREAM, "*", "v", "1", "v", "1", "what", "url", "text", "/a")
    redis.cli("EVAL", "redis.call('XADD', KEYS[1], '*', 'v', '1', 'from', 'x', 'what', 'tag', "
              "'text', string.rep('x', 20000000))", "1", STREAM)
    wait_for("all are counted", lambda: b.fleet["ignored"] == len(bad) + 2)
    assert b.has_old("/a") and b.has_old("/b") and b.fleet["applied"] == 0
    assert "fleet: ignored: entry" in b.weir.log
    redis.cli("XADD", STREAM, "*", *(word for pair_ in good.items() for word in pair_))
    wait_new(b, "/a")
    assert b.fleet["connected"] and b.has_old("/b")


def test_another_type_under_the_name_is_said_and_survived(pair, redis):
    a, b = pair
    b.keep("/a")
    redis.cli("DEL", STREAM)
    redis.cli("SET", STREAM, "x")
    done = a.weir.command("cache", "purge", "/a", check=False)
    assert done.returncode == 3 and "WRONGTYPE" in done.stderr
    redis.cli("DEL", STREAM)
    for it in pair:
        it.wait_connected()
    a.weir.command("cache", "purge", "/a")
    wait_new(b, "/a")


def test_a_password_and_an_account(host, redis, tmp_path):
    assert " ".join(RULES) in (TREE / "docs/fleet.md").read_text()
    redis.cli("CONFIG", "SET", "requirepass", "s3cret words")
    redis.password = "s3cret words"
    redis.cli("ACL", "SETUSER", "weir", "on", ">other", "~weir:*", "resetchannels", "-@all", *RULES)
    wrong, right, account = tmp_path / "wrong", tmp_path / "right", tmp_path / "account"
    for file, text in ((wrong, "nothing\n"), (right, "s3cret words\n"), (account, "other\nweir\n")):
        file.write_text(text)
        file.chmod(0o600)
    a = host(f'fleet_password_file = "{wrong}"')
    wait_for("the server refuses", lambda: "refuses the password" in a.fleet["why_not"])
    assert "refuses the password" in a.weir.log
    b, c = host(f'fleet_password_file = "{right}"'), host(f'fleet_password_file = "{account}"')
    b.wait_connected(1)
    c.wait_connected(1)
    b.weir.command("cache", "purge", "/a")
    wait_for("it is done", lambda: c.fleet["applied"] == 1)


def test_metrics_say_whether_it_is_connected(host, redis):
    a = host('admin = "127.0.0.1:9180"')
    a.wait_connected()

    def metric():
        rows = a.weir.curl("http://127.0.0.1:9180/metrics").stdout.splitlines()
        return [row for row in rows if row.startswith("weir_fleet_connected ")]

    wait_for("connected", lambda: metric() == ["weir_fleet_connected 1"])
    redis.stop()
    wait_for("not connected", lambda: metric() == ["weir_fleet_connected 0"])


def test_the_process_is_replaced_and_has_no_rights(pair):
    a, b = pair
    pid = a.fleet_pid()
    status = dict(row.split(":\t", 1) for row in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in row)
    assert status["Uid"].split()[1] != "0" and int(status["CapEff"], 16) == 0 and status["Seccomp"] == "2"
    os.kill(pid, signal.SIGKILL)
    wait_for("another runs", lambda: a.fleet_pid() not in (None, pid))
    a.wait_connected()
    b.keep("/a")
    a.weir.command("cache", "purge", "/a")
    wait_new(b, "/a")
