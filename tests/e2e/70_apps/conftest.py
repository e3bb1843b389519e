# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the applications: their folders, and Weir as the examples say it is started.

example     example("php/weir.conf") runs Weir with a configuration of examples/, in a namespace of its own
data        a folder that applications may write to: APP_DATA in their environment
chat        build/examples/node with its packages installed, by `npm ci` from the lock file
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from apps import EXAMPLES
from instance import PROGRAM, run


@pytest.fixture
def data(monkeypatch):
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_data_"))
    shutil.chown(path, "www-data", "www-data")
    monkeypatch.setenv("APP_DATA", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def example(weir):
    return lambda name, *options: weir("-c", EXAMPLES / name, *options)


@pytest.fixture(scope="session")
def chat():
    folder = PROGRAM.parent / "examples/node"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "server.js", "chat.html", "exec.conf"):
        shutil.copy2(EXAMPLES / "node" / name, folder)
    marker = folder / "node_modules/.package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < (folder / "package-lock.json").stat().st_mtime:
        run("npm", "ci", "--omit=dev", "--no-audit", "--no-fund", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def server():
    """The small C server, built."""
    program = PROGRAM.parent / "examples/server"
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-o", program, EXAMPLES / "c/server.c"], check=True)
    return program
