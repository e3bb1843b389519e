# SPDX-License-Identifier: GPL-2.0
"""What the applications allow caches to keep is answered by XDP the second time; the rest never is."""
import pytest

from apps import Client
from harness.servers import wait_for


def second_time(weir, may, must_not):
    """`may` is a target that a cache may keep, `must_not` one that it must not."""
    visitor = Client(weir)
    first = wait_for("it answers", lambda: (reply := visitor.get(may)).status == 200 and reply)

    def is_hit():
        before = weir.stat("kernel.hits")
        again = visitor.get(may)
        assert again.status == 200 and again.body == first.body
        return weir.stat("kernel.hits") > before

    wait_for(f"{may} is a kernel hit", is_hit, timeout=5)
    before = weir.stat("kernel.hits")
    for _ in range(3):
        assert visitor.get(must_not).status == 200
    assert weir.stat("kernel.hits") == before, must_not
    why = weir.command("why", f"http://127.0.0.1:8080{may}").stdout
    assert "cached" in why, why


def test_php(example, data):
    weir = example("php/weir.conf")
    second_time(weir, "/about.php", "/")
    second_time(weir, "/style.css", "/files.php")


@pytest.mark.parametrize("name", ["python/weir.conf", "python/uvicorn.conf"])
def test_python(example, name):
    second_time(example(name), "/", "/count")


def test_c(example, server, monkeypatch):
    monkeypatch.setenv("SERVER", str(server))
    second_time(example("c/weir.conf"), "/cached", "/")


def test_node(chat, weir):
    second_time(weir("-c", chat / "exec.conf"), "/", "/whoami")
