# SPDX-License-Identifier: GPL-2.0
"""Starts a Weir that logs (log_files.py)."""
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness.net import SERVER_IP4
from log_files import CONFIG, Logs


@pytest.fixture
def logs(weir, site, netns_pair):
    """logs(more="log_format = json") starts Weir; site="..." are parameters of its first pool."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir_logs_"))
    path.chmod(0o755)

    def start(more="", site_more="", folder=path, before=None):
        it = Logs(folder, netns_pair)
        if before:
            before(it)
        it.config = CONFIG.format(address=SERVER_IP4, folder=folder, more=more, root=site.path, site=site_more)
        it.weir = weir(netns=netns_pair.server, config=it.config)
        return it

    yield start
    shutil.rmtree(path)
