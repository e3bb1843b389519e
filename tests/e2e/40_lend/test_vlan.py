# SPDX-License-Identifier: GPL-2.0
"""Hit, hand-over and seize behind one VLAN tag (802.1Q), with the tag in the frame as the wire has it."""
from harness import net, servers
from lending import HIT, MISS, Client, lending

VLAN = 5
SERVER_IP, CLIENT_IP = "10.78.0.1", "10.78.0.2"


def add_vlan(pair):
    for ns, dev, ip in ((pair.client, net.CLIENT_IF, CLIENT_IP), (pair.server, net.SERVER_IF, SERVER_IP)):
        ns.sh("ethtool", "-K", dev, "txvlan", "off")
        ns.sh("ip", "link", "add", "link", dev, "name", f"{dev}.{VLAN}", "type", "vlan", "id", str(VLAN))
        ns.sh("ip", "addr", "add", ip + "/24", "dev", f"{dev}.{VLAN}")
        ns.sh("ip", "link", "set", "dev", f"{dev}.{VLAN}", "up")


def test_connection_behind_a_vlan_tag_is_answered_lent_and_seized():
    listen = (f"{SERVER_IP}:{servers.PORT}", f"{net.SERVER_IP4}:{servers.PORT}", f"[{net.SERVER_IP6}]:{servers.PORT}")
    with lending(prepare=add_vlan, listen=listen) as lend:
        before = lend.weir.stats()
        client = Client(lend.pair, SERVER_IP)
        client.get(HIT)  # a worker may answer this one: each endpoint has entries of its own
        for _ in range(3):
            client.get(HIT)
            client.get(MISS)
        client.close()
        count = servers.moved(before, lend.weir.stats())
    for name in ("hits", "handovers", "seizes"):
        assert count.get(f"kernel.{name}", 0) >= 2, f"{name} did not move: {count}"
