# SPDX-License-Identifier: GPL-2.0
"""Where Weir is meant to react otherwise than Linux's TCP, each with its reason. Anything else is a fault.

An entry changes the oracle's reactions into those that are expected of Weir; it must change something, or the test fails:
a deviation that is no more has no place here.
"""
from __future__ import annotations

import copy
import dataclasses
from typing import Callable

from harness.play import Reaction

XDP_OWNED = ("open", "xdp", "seized")
EVERY = ("fresh", "open", "xdp", "kernel", "lent", "seized")


@dataclasses.dataclass
class Deviation:
    reason: str
    scenarios: tuple[str, ...]
    change: Callable[[list[Reaction], dict[str, int]], None]  # reactions, step label -> first index
    states: tuple[str, ...] = EVERY
    options: tuple[str, ...] = ("full", "bare")
    families: tuple[str, ...] = ("AF_INET", "AF_INET6")
    may_be_void: bool = False  # nothing to change for some of these connections


def at(label: str, **fields) -> Callable:
    """Sets fields of the reaction to the step `label`."""

    def change(reactions, index):
        for name, value in fields.items():
            setattr(reactions[index[label]], name, value)

    return change


def silent(label: str) -> Callable:
    """No reaction to the step `label`."""

    def change(reactions, index):
        reactions[index[label]] = Reaction()

    return change


DEVIATIONS: list[Deviation] = []


def expected(key: tuple, reactions: list[Reaction], labels: list[str]) -> tuple[list[Reaction], list[str]]:
    """The oracle's reactions as Weir should show them, and the reasons for what is different."""
    scenario, state, family, options = key
    out, reasons = copy.deepcopy(reactions), []
    index = {label: labels.index(label) for label in labels}
    for d in DEVIATIONS:
        if scenario in d.scenarios and state in d.states and family in d.families and options in d.options:
            before = copy.deepcopy(out)
            d.change(out, index)
            if out == before and not d.may_be_void:
                reasons.append(f"VOID: {d.reason}")
            else:
                reasons.append(d.reason)
    return out, reasons
