# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the cache tests. Every test that uses `cached` runs twice: with the kernel cache and without.

origin    an Origin
cached    cached(lines="cache_wait = 1s") starts Weir with one proxy pool in front of it
client    client() is a raw connection to Weir
"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from origin import Client, Origin, config


@pytest.fixture
def origin(netns):
    it = Origin(netns)
    yield it
    it.close()


@pytest.fixture(params=[True, False], ids=["kernel", "memory"])
def cached(request, weir, netns, origin):
    def start(lines="", more=""):
        instance = weir(netns=netns, config=config([origin], lines, more, kernel=request.param))
        instance.has_kernel = request.param
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
