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


def before(reactions: list[Reaction], i: int) -> tuple[int, str]:
    """Our highest acknowledged byte and the end of the server's stream, before step i."""
    ack, to = 1, "R0"
    for r in reactions[:i]:
        ack, to = r.ack or ack, r.to or to
    return ack, to


def without(label: str, name: str) -> Callable:
    """Field `name` is not there in the reaction to the step `label`."""

    def change(reactions, index):
        setattr(reactions[index[label]], name, Reaction.__dataclass_fields__[name].default)

    return change


def put_off(label: str, until: str) -> Callable:
    """Silence in step `label`; its reaction comes in step `until`, where the client has repeated what it sent."""

    def change(reactions, index):
        first, then = index[label], index[until]
        reactions[then] = dataclasses.replace(reactions[first], tsecr=reactions[then].tsecr)
        reactions[first] = Reaction()

    return change


def acknowledged_then_put_off(label: str, until: str, taken: int = 0) -> Callable:
    """The same, but step `label` gets an ACK of the first `taken` new bytes."""

    def change(reactions, index):
        ack, to = before(reactions, index[label])
        tsecr = reactions[index[label]].tsecr
        put_off(label, until)(reactions, index)
        reactions[index[label]] = Reaction(ack=ack + taken, ack_seq=to, tsecr=tsecr)

    return change


def cut_to_window(label: str, until: str) -> Callable:
    """Only the part of the answer that the request's own window allows; the rest with the next ACK."""

    def change(reactions, index):
        first, then = index[label], index[until]
        _, to = before(reactions, first)
        tsecr = reactions[first].tsecr
        window = 50 if tsecr is None else 128
        reactions[then] = dataclasses.replace(reactions[first], tsecr=tsecr and tsecr + 10)
        reactions[first] = dataclasses.replace(reactions[first], answers=(), to=f"{to}+{window}")

    return change


def repeated(label: str) -> Callable:
    """The last answer (or FIN) again, in place of a pure ACK."""

    def change(reactions, index):
        r = reactions[index[label]]
        r.again, r.ack_seq = True, ""

    return change


def reset_in_answer(label: str) -> Callable:
    """A reset at the byte that was acknowledged; from then on there is no connection."""

    def change(reactions, index):
        i = index[label]
        ack, _ = before(reactions, i)
        reactions[i] = Reaction(rst=("RA", "as acknowledged", ack))
        for n in range(i + 1, len(reactions)):
            reactions[n] = Reaction(rst=("R", "as acknowledged", None))

    return change


def reset_with_ack(label: str) -> Callable:
    """The same reset, but with the ACK bit and field."""

    def change(reactions, index):
        i = index[label]
        ack, _ = before(reactions, i)
        reactions[i].rst = ("RA", reactions[i].rst[1], ack)

    return change


def no_ecn(reactions, index):
    r = reactions[index["SYN"]]
    r.syn_ack = r.syn_ack[:4] + (False,) + r.syn_ack[5:]


NO_QUEUE = "XDP keeps no data behind a hole: duplicate ACK without SACK block, the client sends it again (DESIGN 2)"
EARLY = "data or FIN that does not acknowledge the last answer is dropped, the client sends it again (DROP_EARLY)"

DEVIATIONS = [
    Deviation("XDP does not negotiate ECN", ("syn_for_ecn",), no_ecn),
    Deviation(NO_QUEUE, ("future_request",), without("beyond a hole", "sack"), XDP_OWNED, options=("full",)),
    Deviation(NO_QUEUE, ("fin_beyond_a_hole",), without("FIN + 10", "sack"), XDP_OWNED, options=("full",)),
    Deviation(NO_QUEUE, ("second_half_first",), without("second half", "sack"), XDP_OWNED, options=("full",)),
    Deviation(NO_QUEUE, ("second_half_first",),
              acknowledged_then_put_off("first half", "second half again", taken=20), XDP_OWNED),
    Deviation("a segment that starts before what is expected is no plain case (DESIGN rule 2): what is old is "
              "acknowledged, the client sends the rest again", ("old_data_and_new_request",),
              acknowledged_then_put_off("5 old bytes and the request", "the request without them"), XDP_OWNED),
    Deviation(EARLY, ("second_request_before_ack_of_first_response",),
              put_off("second, old ACK", "second again, new ACK"), XDP_OWNED),
    Deviation(EARLY, ("ack_slightly_old",), put_off("request, ACK - 10", "the same, right ACK"), ("xdp", "seized")),
    Deviation(EARLY, ("half_close_before_ack",),
              put_off("FIN, response not acknowledged", "FIN again, response acknowledged"), XDP_OWNED),
    Deviation("fragments of an XDP-owned connection are dropped, the client sends the segment again (DROP_FRAGMENT)",
              ("ip_fragments",), put_off("request in two fragments", "the same in one piece"), XDP_OWNED),
    Deviation("a repeated request gets its answer again: XDP has no timer (DESIGN rule 3)",
              ("request_repeated_before_ack",), repeated("the same"), XDP_OWNED),
    Deviation("in LAST-ACK every ACK repeats the FIN: XDP has no timer", ("fin_again_in_last_ack",),
              repeated("FIN again"), XDP_OWNED),
    Deviation("XDP remembers no earlier window: that of the request itself is obeyed", ("request_with_small_window",),
              cut_to_window("request, small window", "window open"), XDP_OWNED),
    Deviation("an answer is one segment: nobody acknowledges it in part, so who does is reset (RST_PARTIAL)",
              ("response_acknowledged_in_part",), reset_in_answer("ACK of all but 10 bytes"), XDP_OWNED),
    Deviation("a reset of a live connection carries an ACK, as RFC 9293 3.10.7.1 allows", ("data_after_connection_close",),
              reset_with_ack("another request"), XDP_OWNED),
]


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
