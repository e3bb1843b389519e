# SPDX-License-Identifier: GPL-2.0
"""Plays every scenario once against Linux and once against Weir in each attach mode; the tests then compare."""
import pathlib
import shutil
import tempfile

import pytest

import scenarios
from harness import content, servers
from plays import Run, play_all, quiet_pair


@pytest.fixture(scope="session")
def oracle():
    """The notebooks of a plain Linux listener with net.ipv4.tcp_syncookies=2."""
    with quiet_pair() as pair:
        listener = servers.Listener(pair.server)
        try:
            return play_all(pair)
        finally:
            listener.close()


@pytest.fixture(scope="session")
def root():
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_tcp_"))
    path.chmod(0o755)
    for url in (scenarios.HIT, scenarios.MISS):
        content.write(str(path), url)
    yield str(path)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def runs(root):
    """runs(mode): plays at the first call."""
    done: dict[str, Run] = {}

    def run(mode: str) -> Run:
        if mode not in done:
            done[mode] = Run(mode, root)
        return done[mode]

    return run
