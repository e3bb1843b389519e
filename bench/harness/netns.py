# SPDX-License-Identifier: GPL-2.0
"""Network namespaces of our own, with a veth pair between them. Gone with the driver; what a killed driver left
is removed by the next one."""
import contextlib
import os
import re

from . import procs

PREFIX = "weirbench"
SERVER_IP, CLIENT_IP = "10.99.0.1", "10.99.0.2"
SERVER_DEV, CLIENT_DEV = "wb-s", "wb-c"


def remove_leftovers():
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        m = re.fullmatch(PREFIX + r"-(\d+)-\w+", name)
        if m and not os.path.exists(f"/proc/{m.group(1)}"):
            procs.run(["ip", "netns", "del", name])


@contextlib.contextmanager
def namespace(kind):
    name = f"{PREFIX}-{os.getpid()}-{kind}"
    procs.run(["ip", "netns", "add", name])
    try:
        procs.run(["ip", "-n", name, "link", "set", "lo", "up"])
        yield name
    finally:
        procs.run(["ip", "netns", "del", name])


@contextlib.contextmanager
def veth_pair(queues, pass_object=None):
    """Yields (server namespace, client namespace). With pass_object the server's end gets a program that
    passes everything: without one a veth does not deliver XDP_TX frames to its stack."""
    with namespace("s") as s, namespace("c") as c:
        q = ["numtxqueues", str(queues), "numrxqueues", str(queues)]
        procs.run(["ip", "link", "add", SERVER_DEV, "netns", s, *q, "type", "veth",
                   "peer", "name", CLIENT_DEV, "netns", c, *q])
        for ns, dev, ip in ((s, SERVER_DEV, SERVER_IP), (c, CLIENT_DEV, CLIENT_IP)):
            procs.run(["ip", "-n", ns, "addr", "add", f"{ip}/24", "dev", dev])
            procs.run(["ip", "-n", ns, "link", "set", dev, "up"])
        if pass_object:
            procs.run(["ip", "-n", s, "link", "set", SERVER_DEV, "xdpdrv", "obj", pass_object, "sec", "xdp"])
        yield s, c
