# SPDX-License-Identifier: GPL-2.0
"""weir doctor: what it finds about a kernel, interfaces and ports, against what the test knows."""
import json

from harness.net import SERVER_IF
from instance import PROGRAM, run


def rows(netns, *words):
    done = run(*netns.argv(PROGRAM, "doctor", "--json", *words), check=False)
    return json.loads(done.stdout)["rows"]


def find(found, what):
    return [row for row in found if row["what"] == what]


def test_each_interface_has_its_rows(netns_pair):
    found = rows(netns_pair.server, "--interface", "lo", "--interface", SERVER_IF, "--interface", "none0")
    assert [row["detail"] for row in find(found, "interface")] == [
        "lo, driver loopback", f"{SERVER_IF}, driver veth", "there is no 'none0'; `ip link` lists them"]
    assert "XDP answers with up to 1448 bytes" in find(found, "MTU")[1]["detail"]
    assert "at the other end" in find(found, "XDP mode")[1]["detail"]
    assert [row["ok"] for row in find(found, "XDP hook")] == [True, True]


def test_a_program_in_the_way_and_a_port_in_use_are_named(weir, netns, site):
    instance = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    found = rows(netns, "--interface", "lo", "--listen", "127.0.0.1:8080")
    hook, port = find(found, "XDP hook")[0], find(found, "port 127.0.0.1:8080")[0]
    assert not hook["ok"] and "is attached" in hook["detail"] and "ip link set dev lo xdp off" in hook["detail"]
    assert not port["ok"] and port["detail"].startswith("taken by weir")
    instance.stop()


def test_a_sysctl_that_forbids_the_hand_over_is_missing(netns):
    assert find(rows(netns), "net.ipv4.tcp_syncookies")[0]["ok"]
    netns.sysctl("net.ipv4.tcp_syncookies", 0)
    row = find(rows(netns), "net.ipv4.tcp_syncookies")[0]
    assert not row["ok"] and row["needed"] and "set it to 1" in row["detail"]
