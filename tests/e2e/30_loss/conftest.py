# SPDX-License-Identifier: GPL-2.0
"""Fixtures that the soak tests share: the link's two ends and the files that the client asks for."""
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness import net, servers


@pytest.fixture(scope="module")
def pair():
    with net.Pair(xdp_pass=servers.tool("pass.bpf.o")) as pair:
        yield pair


@pytest.fixture(scope="module")
def root():
    """A document root with what the soak client asks for."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_soak_"))
    path.chmod(0o755)
    subprocess.run([servers.tool("soak"), "--write", str(path)], check=True)
    yield str(path)
    shutil.rmtree(path)
