# SPDX-License-Identifier: GPL-2.0
"""The same packets in, the same reactions out: Weir against Linux's TCP with syncookies=2 (DESIGN rule 5).

What is played is in scenarios.py, how reactions are compared in harness/play.py, and where Weir is meant to differ
in deviations.py. Each scenario runs over IPv4 and IPv6, with every TCP option and with none.
"""
import pytest

import deviations
import scenarios
from plays import FAMILIES, MODES, OPTIONS

CASES = [(name, "fresh") for name in scenarios.FRESH] + [
    (name, state) for state in scenarios.STATES for name in scenarios.IN_CONNECTION]


def variants(name, state):
    return [(name, state, family.name, options) for family in FAMILIES
            for options in (OPTIONS if state != "fresh" else ("full",))]


@pytest.mark.parametrize("name,state", CASES, ids=[f"{s}-{n}" for n, s in CASES])
def test_oracle_obeys_its_own_rules(oracle, name, state):
    for key in variants(name, state):
        assert not oracle[key].violations, f"{key}\n{oracle[key].transcript()}"


def differences(key, linux, weir, is_lent=False):
    """What of Weir's reactions is not as expected, as lines of text. is_lent: no deviation is allowed."""
    labels = [step.label for step in linux.past_steps + linux.steps]
    want, reasons = (linux.reactions(), []) if is_lent else deviations.expected(key, linux.reactions(), labels)
    got = weir.reactions()
    wrong = [f"   step {i} {labels[i]}: expected {a}\n{' ' * 8}got {b}"
             for i, (a, b) in enumerate(zip(want, got)) if a != b]
    if len(want) != len(got):
        wrong.append(f"   {len(want)} steps expected, {len(got)} played")
    return wrong + [f"   {v}" for v in weir.violations] + [f"   {r}" for r in reasons if r.startswith("VOID")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name,state", CASES, ids=[f"{s}-{n}" for n, s in CASES])
def test_weir_reacts_as_linux_does(oracle, runs, name, state, mode):
    faults = []
    for key in variants(name, state):
        linux, weir = oracle[key], runs(mode).conns[key]
        wrong = differences(key, linux, weir)
        # No promise that a connection is taken back: one that was not is the kernel's, and must be as Linux is.
        if wrong and not (state == "seized" and not differences(key, linux, weir, is_lent=True)):
            faults.append("\n".join([" ".join(key), *wrong, f"  weir {mode}:", weir.transcript(), "  linux:",
                                     linux.transcript()]))
    assert not faults, "\n" + "\n\n".join(faults)


@pytest.mark.parametrize("mode", MODES)
def test_every_state_was_really_reached(runs, mode):
    count = runs(mode).count
    print(count)
    for name in ("hits", "handovers", "seizes", "syn_cookies_sent"):
        assert count.get(f"kernel.{name}", 0) > 100, f"{name} did not move: {count}"
