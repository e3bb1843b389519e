# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the end-to-end tests.

site        a document root with known files
netns       a network namespace of its own with `lo` up; what `weir` runs in unless told otherwise
netns_pair  namespaces .client and .server joined by a veth pair (harness/net.py)
weir        starts build/weir run and, at the end of the test, proves that nothing of it is left

Tests import addresses from `harness.net`, wait_for from `harness.servers`, PROGRAM and run from `instance`.
"""
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from harness import net, servers
from instance import PROGRAM, Site, Weir

TEST_SECONDS = 200
numbers = itertools.count()


@pytest.fixture
def netns():
    namespace = net.Namespace(f"weir{os.getpid()}x{next(numbers)}")
    yield namespace
    namespace.close()


@pytest.fixture
def netns_pair():
    with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as pair:
        yield pair


@pytest.fixture
def site():
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_site_"))
    path.chmod(0o755)
    yield Site(path)
    shutil.rmtree(path)


@pytest.fixture
def weir(request, netns, site):
    """weir("--root", site.path, "--listen", "127.0.0.1:8080", netns=..., config="...") starts an instance.

    Options go to `weir run` as they are; `config` is the text of a file for -c. An instance that a test kills is
    started and stopped once more, which must clean up after it.
    """
    if "netns_pair" in request.fixturenames:
        request.getfixturevalue("netns_pair")  # so that it outlives the instances in it
    started = []

    def factory(*options, netns=netns, config=None, again=None):
        """`again`: start in the place of this instance, as the same one."""
        if again:
            folder, netns, options = again.folder, again.netns, options or again.options
        else:
            folder = pathlib.Path(tempfile.mkdtemp(prefix="weir_run_"))
            folder.chmod(0o755)
        if config is not None:
            (folder / "weir.conf").write_text(config)
            options = ("-c", folder / "weir.conf", *options)
        instance = Weir(folder, netns, options)
        started.append(instance)
        return instance.start()

    yield factory

    last = {instance.folder: instance for instance in started}
    try:
        for instance in list(last.values()):
            if instance.is_running:
                instance.stop()
            elif instance.process.returncode < 0:
                factory(again=instance).stop()
        for instance in started:
            try:
                servers.wait_for("nothing is left", lambda: not instance.left(), timeout=10)
            except TimeoutError:
                pytest.fail(f"left behind: {', '.join(instance.left())}")
    finally:
        for instance in started:
            instance.clear()
        for folder, instance in last.items():
            print(f"--- weir run {' '.join(map(str, instance.options))}\n{instance.log}")
            shutil.rmtree(folder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails after TEST_SECONDS, where it stands."""

    def give_up(_signal, _frame):
        raise TimeoutError(f"{item.nodeid} was not done after {TEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# Folders whose tests load the machine or compare rates: they run one after the other, all others side by side.
ALONE = {"30_loss", "50_pools"}


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: not side by side with other tests")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # fixtures tidy up, as after Ctrl-C


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name in ALONE:
            item.add_marker(pytest.mark.alone)
    if os.getuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root: BPF programs and network namespaces"))
    elif not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} does not exist: make all", 1)
