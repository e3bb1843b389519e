# SPDX-License-Identifier: GPL-2.0
"""A link that loses, repeats and reorders packets in both directions, and the client that checks every byte."""
from __future__ import annotations

import contextlib
import json
import signal
import subprocess

from . import net, servers

DROP = 100       # of 10,000 packets, in each direction: 1 %
DUPLICATE = 50
DETOUR = 200     # come 2 to 20 ms late, behind packets that were sent after them


@contextlib.contextmanager
def bad_link(pair):
    """Yields a list to which the link's own numbers are appended when it is taken away."""
    numbers = []
    lossy = pair.client.popen(servers.tool("lossy"), net.CLIENT_IF, "--drop", str(DROP), "--duplicate",
                              str(DUPLICATE), "--detour", str(DETOUR), stdout=subprocess.PIPE, text=True)
    try:
        servers.wait_for_line(lossy, "ready")
        yield numbers
    finally:
        lossy.send_signal(signal.SIGTERM)
        numbers.append(json.loads(lossy.communicate(timeout=10)[0]))


def soak(ns, address, *options, port=servers.PORT):
    """Runs the client; fails with what it complained about. Returns its numbers."""
    done = subprocess.run(ns.argv(servers.tool("soak"), address, str(port), *map(str, options)), capture_output=True,
                          text=True, timeout=140)
    assert done.returncode == 0, f"soak {address} {' '.join(map(str, options))}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)
