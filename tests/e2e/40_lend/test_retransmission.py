# SPDX-License-Identifier: GPL-2.0
"""Loss is the client's clock: a request that comes again gets the same answer from the same generation, or a reset;
never a mix of two (DESIGN rule 3)."""
import os

import pytest

from harness import content, play, servers
from harness.tcp import ACK, PSH, RST, SYN, Options
from lending import ADDRESSES, HIT, lending


def repeat(times, between=None):
    """A request, then the same again without acknowledging anything; `between` runs before the first repetition."""

    def script(c):
        yield from c.open()
        una, request = c.rcv_nxt, c.seg(PSH | ACK, c.request(HIT))
        yield from c.step("request", request, answers=1)
        if between:
            between()
        for i in range(times):
            yield from c.step(f"again {i}", c.seg(PSH | ACK, request.data, seq=request.seq, ack=una),
                              until=lambda c: bool(c.steps[-1].got))
        yield from c.step("ACK", c.seg(ACK))
        yield from c.get(HIT)

    return script


@pytest.mark.parametrize("family", list(ADDRESSES))
@pytest.mark.parametrize("options", ["full", "bare"])
def test_repeated_request_gets_the_same_bytes_but_date(lend, family, options):
    before = lend.weir.stats()
    conn = lend.raw(repeat(3), family, options)  # that the bytes are the same is checked for every packet
    count = servers.moved(before, lend.weir.stats())
    again = [r for r in conn.reactions() if r.again]
    assert len(again) == 3 and not any(r.rst for r in conn.reactions()), conn.transcript()
    assert sum(count.get(f"kernel.verdicts.{v}", 0) for v in ("hit_again", "hit_again_tc")) == 3, count
    assert len(conn.responses()) == 2


def test_client_that_never_acknowledges_is_handed_over_at_last(lend):
    """Beyond some repetitions the kernel takes over, from the first byte that is not acknowledged: still no mix."""
    conn = lend.raw(repeat(12))
    assert len(conn.responses()) == 2, conn.transcript()


def old_timestamp(c):
    return c.seg(ACK, opts=Options(ts=(c.ts_base - 100_000, 0)))


STRAYS = {  # what may come late or out of order while the answer is on its way, or lost
    "old data": lambda c: c.seg(PSH | ACK, b"0123456789", off=-100),
    "old ACK": lambda c: c.seg(ACK, off=-100),
    "keep-alive probe": lambda c: c.seg(ACK, off=-1),
    "data beyond a hole": lambda c: c.seg(PSH | ACK, b"0123456789", off=100),
    "ACK of the future": lambda c: c.seg(ACK, off=7),
    "far outside the window": lambda c: c.seg(PSH | ACK, b"0123456789", off=50_000_000),
    "SYN": lambda c: c.seg(SYN, off=10, opts=c.syn_options()),
    "RST in the window": lambda c: c.seg(RST, off=10),
    "old timestamp": old_timestamp,
    "ACK of unsent data": lambda c: c.seg(ACK, ack=c.rcv_nxt + 5000),
}


@pytest.mark.parametrize("stray", list(STRAYS))
def test_nothing_but_the_answer_acknowledges_its_request(lend, stray):
    """XDP has no timer: a client that has seen an ACK of its request but not the answer would wait for ever."""

    def script(c):
        yield from c.open()
        una, request = c.rcv_nxt, c.seg(PSH | ACK, c.request(HIT))
        yield from c.step("request", request, answers=1)
        segment = STRAYS[stray](c)
        if segment.ack != c.rcv_nxt + 5000:
            segment.ack = una if segment.flags & ACK else 0  # the answer is lost on its way
        yield from c.step(stray, segment)
        yield from c.step("request again", c.seg(PSH | ACK, request.data, seq=request.seq, ack=una),
                          until=lambda c: bool(c.steps[-1].got))
        yield from c.step("ACK", c.seg(ACK))
        yield from c.get(HIT)

    conn = lend.raw(script)
    end = conn.steps[2].sent[0].seq + len(conn.steps[2].sent[0].data)
    bare = [s for s in conn.steps[3].got if not s.data and not s.flags & RST and play.diff(s.ack, end) >= 0]
    assert not bare, f"an ACK of the request without the answer: {bare[0]}"
    assert conn.reactions()[4].again and len(conn.responses()) == 2


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_changed_entry_resets_instead_of_mixing(how):
    with lending() as lend:
        path = os.path.join(lend.root, HIT.lstrip("/"))
        entries = lend.weir.stat("kernel.cache_entries")

        def change():
            if how == "removed":
                os.unlink(path)
                servers.wait_for("the entry is withdrawn", lambda: lend.weir.stat("kernel.cache_entries") < entries)
                return
            with open(path, "wb") as f:
                f.write(content.body(HIT)[::-1])

            def is_new_hit():
                before = lend.weir.stat("kernel.hits")
                client = lend.client()
                is_new = client.ask(HIT).read() == content.body(HIT)[::-1]
                client.close()
                return is_new and lend.weir.stat("kernel.hits") > before

            servers.wait_for("the new content is a kernel hit", is_new_hit)

        def script(c):
            yield from c.open()
            una, request = c.rcv_nxt, c.seg(PSH | ACK, c.request(HIT))
            yield from c.step("request", request, answers=1)
            change()
            yield from c.step("again", c.seg(PSH | ACK, request.data, seq=request.seq, ack=una),
                              until=lambda c: bool(c.steps[-1].got))

        conn = lend.raw(script)
        assert conn.reactions()[-1].rst and not conn.reactions()[-1].again, conn.transcript()


def test_answer_that_was_acknowledged_is_not_sent_again(lend):
    def script(c):
        yield from c.open()
        request = c.seg(PSH | ACK, c.request(HIT))
        yield from c.step("request", request, answers=1)
        yield from c.step("ACK", c.seg(ACK))
        yield from c.step("old request", c.seg(PSH | ACK, request.data, seq=request.seq),
                          until=lambda c: bool(c.steps[-1].got))

    last = lend.raw(script).reactions()[-1]
    assert last.ack and not last.again and not last.answers
    assert play.Reaction(ack=last.ack, ack_seq=last.ack_seq, tsecr=last.tsecr) == last
