# SPDX-License-Identifier: GPL-2.0
"""A Weir with a module pool on the loopback interface of its own namespace.

module()                        the pool "probe" with tests/modules/probe.c behind /m/
module(pool="threads = 2")      with these parameters besides
module(name="guestbook", ...)   another module of build/tests/modules or build/examples/modules
"""
import shutil

import pytest

from instance import PORT, PROGRAM
from moduling import Module

BUILT = [PROGRAM.parent / "tests/modules", PROGRAM.parent / "examples/modules"]


@pytest.fixture
def shared_object(site):
    """shared_object("probe"): a copy that every account can read, to change and replace."""

    def find(name):
        copy = site.path / f"{name}.so"
        if not copy.exists():
            source = next(folder / copy.name for folder in BUILT if (folder / copy.name).exists())
            shutil.copy(source, copy)
            copy.chmod(0o755)
        return copy

    return find


@pytest.fixture
def module(weir, shared_object):
    def start(pool="", name="probe", options="", attach="auto"):
        config = f"""
listen = {{ "127.0.0.1:{PORT}" }}
attach = {attach}
pool probe {{
	handler = module
	module = "{shared_object(name)}"
	module_options = {{ {options} }}
	prefixes = {{ "http://*:{PORT}/m/" }}
	{pool}
}}
"""
        it = Module(weir(config=config))
        it.wait_worker()
        return it

    return start
