# SPDX-License-Identifier: GPL-2.0
"""Helpers of the end-to-end tests: namespaces, packets by hand, servers under test."""
