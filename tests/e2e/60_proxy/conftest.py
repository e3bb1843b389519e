# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the proxy tests.

upstream  upstream(serve) starts an upstream in the test's namespace; all of them end with the test
proxy     proxy(serve) starts Weir with one pool that passes everything on to such an upstream; proxy(serve,
          lines="retries = 0") adds parameters. Returns the instance; .upstream is the upstream
client    client() is a raw connection to Weir
"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from upstreams import Client, Upstream, config, echo, sockets


@pytest.fixture
def folder():
    with sockets() as path:
        yield path


@pytest.fixture
def upstream(netns):
    started = []

    def start(serve=echo, **more):
        started.append(Upstream(netns, serve, **more))
        return started[-1]

    yield start
    for it in started:
        it.close()


@pytest.fixture
def proxy(weir, netns, upstream):
    def start(*serve, lines="", more="", path="/"):
        ups = [upstream(s) if callable(s) else s for s in serve or (echo,)]
        instance = weir(netns=netns, config=config(("app", path, ups, lines), more=more))
        instance.upstream, instance.upstreams = ups[0], ups
        return instance

    return start


@pytest.fixture
def client(netns):
    opened = []

    def connect(**more):
        opened.append(Client(netns, **more))
        return opened[-1]

    yield connect
    for it in opened:
        it.close()
