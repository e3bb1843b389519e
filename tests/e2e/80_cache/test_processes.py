# SPDX-License-Identifier: GPL-2.0
"""The memory level belongs to the pool: all its slots use it, and no end of a worker loses it."""
import os
import random
import signal
import threading

from harness.servers import wait_for

from origin import PORT, Client, Page


def workers(weir):
    found = []
    for pid in weir.processes():
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().startswith("weir:"):
                    found.append(pid)
        except OSError:
            pass
    return found


def test_what_is_stored_survives_a_worker(cached, origin, netns):
    weir = cached()
    origin.pages["/a"] = Page("x" * 50_000, "Cache-Control: max-age=600\r\n")
    Client(netns).get("/a")
    before = workers(weir)
    os.kill(before[0], signal.SIGKILL)
    wait_for("another worker", lambda: workers(weir) and workers(weir) != before)
    assert Client(netns).get("/a")[2] == b"x" * 50_000
    weir.command("pool", "recycle", "app")
    for _ in range(20):
        assert Client(netns).get("/a")[2] == b"x" * 50_000
    assert origin.count("/a") == 1


def test_what_is_stored_survives_the_supervisor(cached, origin, netns, weir):
    instance = cached()
    origin.pages["/a"] = Page("x" * 50_000, "Cache-Control: max-age=600\r\n")
    Client(netns).get("/a")
    os.kill(instance.pid, signal.SIGKILL)
    instance.process.wait()
    again = weir(again=instance)
    assert Client(netns).get("/a")[2] == b"x" * 50_000
    assert origin.count("/a") == 1
    assert "1 removed" in again.command("cache", "purge", f"http://weir.test:{PORT}/a").stdout
    Client(netns).get("/a")
    assert origin.count("/a") == 2


def test_slots_share_it(cached, origin, netns):
    cached("slots = 3")
    origin.pages["/a"] = Page("x" * 50_000, "Cache-Control: max-age=600\r\n")
    for _ in range(30):
        assert Client(netns).get("/a")[2] == b"x" * 50_000
    assert origin.count("/a") == 1


def test_slots_share_a_fetch(cached, origin, netns):
    cached("slots = 3")
    gate, answers = threading.Event(), []
    origin.pages["/a"] = Page("slow", "Cache-Control: max-age=600\r\n", gate=gate)
    threads = [threading.Thread(target=lambda: answers.append(Client(netns).get("/a")[2])) for _ in range(40)]
    for t in threads:
        t.start()
    wait_for("the origin is asked", lambda: origin.count("/a"))
    threading.Event().wait(0.3)  # the time in which more could come
    gate.set()
    for t in threads:
        t.join()
    assert answers == [b"slow"] * 40
    assert origin.count("/a") == 1


def test_kill_9_under_load(cached, origin, netns):
    """Workers die at any instruction; whoever gets an answer gets the right one, and the cache goes on."""
    weir = cached("slots = 2\nrapid_fail_protection = off\ncache_memory = 2M")
    targets = [f"/{n}" for n in range(200)]
    bodies = {t: (t * 400)[:random.Random(t).randrange(10, 30000)].encode() for t in targets}
    for t in targets:
        origin.pages[t] = Page(bodies[t], "Cache-Control: max-age=600\r\n")
    stop, wrong, right = threading.Event(), [], [0]

    def ask(seed):
        dice, c = random.Random(seed), None
        while not stop.is_set():
            target = dice.choice(targets)
            try:
                c = c or Client(netns)
                status, _, body = c.get(target)
            except (OSError, EOFError, ValueError, IndexError):
                c = None
                continue
            if status == 200:
                right[0] += 1
                if body != bodies[target]:
                    wrong.append((target, len(body)))
            elif status != 503:
                wrong.append((target, status))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(5)]
    for t in threads:
        t.start()
    for turn in range(20):
        before = right[0]
        wait_for("answers", lambda: right[0] > before + 50)
        live = workers(weir)
        if live:
            os.kill(random.choice(live), signal.SIGKILL)
    stop.set()
    for t in threads:
        t.join()
    assert not wrong, wrong[:5]
    m = weir.stat("pools.app.memory")
    assert m["bytes_used"] <= m["bytes_budget"] == 2 << 20
    c = Client(netns)
    for t in targets[:50]:
        assert c.get(t)[2] == bodies[t]
    wait_for("no fetch is left over", lambda: weir.stat("pools.app.memory.fills") == 0)


def test_zipf_over_twice_the_budget(cached, origin, netns):
    weir = cached("cache_memory = 2M")
    urls, size, dice = 400, 10_000, random.Random(7)
    weights = [1 / (n + 1) for n in range(urls)]
    for n in range(urls):
        origin.pages[f"/{n}"] = Page(b"%05d" % n * (size // 5), "Cache-Control: max-age=600\r\n")
    c = Client(netns)
    for n in dice.choices(range(urls), weights, k=4000):
        assert c.get(f"/{n}")[2][:5] == b"%05d" % n
        if n % 50 == 0:
            m = weir.stat("pools.app.memory")
            assert m["bytes_used"] <= m["bytes_budget"] == 2 << 20
    assert len(origin.requests) < 4000 * 0.35, f"{len(origin.requests)} of 4000 requests at the origin"
