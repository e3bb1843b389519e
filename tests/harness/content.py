# SPDX-License-Identifier: GPL-2.0
"""Deterministic file contents, the same generator as tests/harness/content.h."""
from __future__ import annotations

import functools
import os


def seed_of(name: str) -> int:
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    return h or 1


@functools.lru_cache(maxsize=None)
def body(path: str) -> bytes:
    """The body of a path whose name ends in "-SIZE.ext"."""
    name = path.split("?")[0].rsplit("/", 1)[-1]
    size = int(name.rsplit("-", 1)[1].split(".")[0])
    x = seed_of(name)
    out = bytearray()
    for i in range(size):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        out.append(10 if i % 64 == 63 else 97 + x % 26)
    return bytes(out)


def write(root: str, path: str) -> None:
    """Puts the file of `path` below `root`, readable for everybody."""
    name = os.path.join(root, path.lstrip("/"))
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as f:
        f.write(body(path))
    os.chmod(name, 0o644)
