# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the lending tests."""
import pytest

from lending import lending


@pytest.fixture(scope="module", params=["native", "generic"])
def lend(request):
    """One Weir for all tests of a file: they must leave it as they found it."""
    with lending(request.param) as lend:
        yield lend
