# SPDX-License-Identifier: GPL-2.0
"""What XDP owns does not need a worker."""
import os
import signal

from harness import servers
from lending import HIT, MISS, lending


def test_keep_alive_connection_survives_the_death_of_the_worker():
    with lending() as lend:
        client = lend.client()
        client.get(HIT)
        (old,) = lend.workers("cached")
        os.kill(old, signal.SIGKILL)
        client.get(HIT)
        servers.wait_for("another worker", lambda: [p for p in lend.workers("cached") if p not in (0, old)])
        client.get(HIT)
        client.get(HIT, Authorization="Basic eDp5")  # for the new worker
        client.get(MISS)
        client.close()
