# SPDX-License-Identifier: GPL-2.0
"""weir reload: any part of the configuration changes under load without a failed request; what is the same goes on."""
import contextlib
import os
import signal

from harness import net, servers
from harness.pool_client import Load, wrong
from instance import PROGRAM, run
from pooling import DEBUG, HIT, MISS, write_config
from test_supervisor_death import killable, under_load

OTHER_PORT = 8080
EXTRA = """
pool extra {{
	handler = debug
	prefixes = {{ "http://*:{port}/extra/" }}
}}
"""


def change(it, text):
    (it.folder / "weir.conf").write_text(text)


def reload(it, check=True):
    done = it.weir.command("reload", check=check)
    it.weir.remember_programs()
    return done


def with_prefix(text, old, new):
    """The configuration with one more prefix beside another."""
    assert text.count(f'"{old}"') == 1, text
    return text.replace(f'"{old}"', f'"{old}", "{new}"')


def with_listen(text, address):
    return text.replace("listen = {", f'listen = {{"{address}", ', 1)


def url(path, port=servers.PORT):
    return f"http://*:{port}{path}"


@contextlib.contextmanager
def untouched(it, *names):
    """Neither keepers nor workers of these pools change, nor what `files` has published; its hits go on."""
    before = {name: (it.keeper(name), it.worker(name)) for name in names}
    published, hits = it.stats("files")["published"], it.stats("files")["hits"]
    yield
    assert {name: (it.keeper(name), it.worker(name)) for name in names} == before
    servers.wait_for("hits go on", lambda: it.stats("files")["hits"] > hits + 20)
    assert it.stats("files")["published"] == published, "the cache was filled anew"


def test_each_change_under_load_fails_no_request_and_leaves_the_rest_alone():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        it.warm()
        text = it.config
        with under_load(it) as progress:
            progress()

            # a prefix more
            text = with_prefix(text, url("/debug/"), url("/more/"))
            change(it, text)
            assert it.get("/more/sleep/0")[0] == 400
            with untouched(it, "files", "plain"):
                out = reload(it).stdout
                assert it.get("/more/sleep/0")[0] == 200, "it holds when the command returns"
                assert "go on: files, plain" in out and "changed: debug" in out, out
                progress()

            # a pool more
            text += EXTRA.format(port=servers.PORT)
            change(it, text)
            with untouched(it, "files", "plain", "debug"):
                reload(it)
                assert it.get("/extra/sleep/0")[0] == 200
                progress()

            # a listening address more, with a prefix of one pool
            text = with_listen(text, f"{net.SERVER_IP4}:{OTHER_PORT}")
            text = with_prefix(text, url("/extra/"), url("/extra/", OTHER_PORT))
            change(it, text)
            with untouched(it, "files", "plain", "debug"):
                reload(it)
                with Load(it.pair.client, port=OTHER_PORT) as other:
                    counts = other.open(5).go("/extra/sleep/1", count=20).wait()
                    assert counts["ok"] == 100 and not wrong(counts), counts
                    progress()

                    # and away again, with its pool
                    text = it.config
                    text = with_prefix(text, url("/debug/"), url("/more/"))
                    change(it, text)
                    reload(it)
            assert it.get("/extra/sleep/0")[0] == 400
            progress()
        it.queues_are_empty()


def test_idle_connections_of_a_removed_pool_go_on_elsewhere():
    with killable(debug="", files="", plain="") as it:
        with it.load() as idle, it.load() as busy:
            assert idle.open(30).go(MISS, count=1).wait()["ok"] == 30
            busy.open(3).go(f"{DEBUG}/sleep/1500", count=1)
            old = it.worker("plain")
            change(it, write_config(it.root, debug="", files=""))
            reload(it)
            servers.wait_for("the removed pool's worker is gone", lambda: old not in it.processes())
            counts = idle.go(f"{DEBUG}/sleep/0", count=2).wait()
            assert counts["ok"] == 60 and not counts["opened"] and not wrong(counts), counts
            counts = busy.wait()
            assert counts["ok"] == 3 and not wrong(counts), counts
            assert it.get(MISS)[0] == 400
            servers.wait_for("its pins are gone", lambda: not any("plain" in text for text in it.left_pins()))


def test_bad_file_changes_nothing_and_every_mistake_is_printed():
    with killable(debug="", files="", plain="") as it:
        with untouched_all(it):
            change(it, it.config + "\npool late {\n\ttheads = 3\n\tprefixes = { \"http://*:80/late\" }\n}\nflows = 1\n")
            done = reload(it, check=False)
            assert done.returncode == 1
            assert "did you mean 'threads'" in done.stderr and "must end in '/'" in done.stderr
            assert "'flows' is '1'" in done.stderr and "nothing has changed" in done.stderr, done.stderr
            lines = [line for line in done.stderr.splitlines() if "weir.conf:" in line]
            assert len(lines) >= 4, done.stderr
            os.kill(it.weir.pid, signal.SIGHUP)
            servers.wait_for("SIGHUP says it too", lambda: it.weir.log.count("did you mean 'threads'") == 2)
            assert it.get(MISS)[0] == 200
            (it.folder / "weir.conf").unlink()
            assert reload(it, check=False).returncode == 1
            change(it, it.config)


@contextlib.contextmanager
def untouched_all(it):
    before = {name: (it.keeper(name), it.worker(name)) for name in it.status()["pools"]}
    reloads = it.status()["reloads"]
    yield
    assert {name: (it.keeper(name), it.worker(name)) for name in before} == before
    assert it.status()["reloads"] == reloads


def test_address_that_is_taken_changes_nothing():
    with killable(debug="", plain="") as it:
        holder = it.pair.server.popen("nc", "-l", "-k", net.SERVER_IP4, str(OTHER_PORT))
        try:
            servers.wait_for("nc listens", lambda: str(OTHER_PORT) in it.pair.server.sh("ss", "-tln"))
            change(it, with_listen(it.config, f"{net.SERVER_IP4}:{OTHER_PORT}"))
            with untouched_all(it):
                done = reload(it, check=False)
                assert done.returncode == 1 and f"cannot listen on {net.SERVER_IP4}:{OTHER_PORT}" in done.stderr
                assert it.get(MISS)[0] == 200
        finally:
            holder.terminate()
            holder.wait()


def test_start_that_fails_leaves_the_workers_of_a_killed_supervisor_alone():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        workers = {name: it.worker(name) for name in ("debug", "files", "plain")}
        holder = it.pair.server.popen("nc", "-l", "-k", net.SERVER_IP4, str(OTHER_PORT))
        try:
            servers.wait_for("nc listens", lambda: str(OTHER_PORT) in it.pair.server.sh("ss", "-tln"))
            it.kill()
            change(it, with_listen(it.config, f"{net.SERVER_IP4}:{OTHER_PORT}"))
            done = run(*it.pair.server.argv(PROGRAM, "run", "-c", it.folder / "weir.conf", "--control", it.weir.control),
                       check=False)
            assert done.returncode == 1 and "serve on" in done.stderr, done.stderr
        finally:
            holder.terminate()
            holder.wait()
        for path in (HIT, MISS, f"{DEBUG}/sleep/0"):
            assert it.get(path)[0] == 200
        change(it, it.config)
        it.again()
        assert {name: it.wait_worker(name) for name in workers} == workers
        before = it.stats("files")["hits"]
        assert it.get(HIT)[0] == 200 and it.stats("files")["hits"] == before + 1


def test_stopped_pool_stays_stopped_and_kernel_settings_change():
    with killable(debug="", files="", plain="") as it:
        it.warm()
        it.do("stop", "plain")
        it.wait_state("plain", "stopped")
        worker = it.worker("files")
        change(it, it.config.replace("attach = native", "attach = generic\nflows = 5000"))
        out = reload(it)
        assert it.state("plain") == "stopped" and it.get(MISS)[0] == 503
        assert it.worker("files") == worker
        assert it.status()["kernel"]["interfaces"][0]["mode"] == "generic"
        assert "flows stays 262144" in it.weir.log, out
        it.warm()


def test_without_xdp_pools_are_kept_and_passed_to_as_well():
    with killable(debug="", plain="") as it:
        text = it.config.replace("attach = native", "attach = none")
        change(it, text)
        reload(it)
        assert not it.status()["kernel"]["attached"]
        with it.load() as keep:
            keep.open(10).go(f"{DEBUG}/sleep/1", think_ms=1)
            worker = it.wait_worker("plain")
            change(it, text + EXTRA.format(port=servers.PORT))
            reload(it)
            assert it.wait_worker("plain") == worker
            for _ in range(20):
                assert it.get("/extra/sleep/0")[0] == 200
            counts = keep.halt()
            assert counts["ok"] > 10 and not wrong(counts), counts


def test_reload_again_while_the_last_one_drains():
    with killable(debug="", files="", plain="") as it:
        with it.load() as flight:
            flight.open(4).go(f"{DEBUG}/sleep/3000", count=1)
            servers.wait_for("in flight", lambda: it.stats("debug")["threads_busy"] == 4)
            for threads in (5, 6, 7):
                change(it, write_config(it.root, debug=f"threads = {threads}", files="", plain=""))
                reload(it)
                assert it.get(f"{DEBUG}/sleep/0")[0] == 200
            counts = flight.wait()
            assert counts["ok"] == 4 and not wrong(counts), counts
            assert it.pool("debug")["threads"] == 7
        servers.wait_for("three keepers, three workers, the supervisor", lambda: len(it.processes()) == 7)
