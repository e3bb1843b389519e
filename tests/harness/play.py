# SPDX-License-Identifier: GPL-2.0
"""Plays scenarios of hand-made packets against a server and writes down its reactions.

A scenario is a generator function of one Conn: it sends segments with sequence numbers relative to the connection, and
each step waits until the reaction that it names has come and the link has been quiet for QUIET seconds. A Player runs
many scenarios at once on one Wire (each on a port of its own), because nearly all of their time is waiting.

What comes out is a list of Reactions, one a step, free of everything that two right servers may differ in: ISNs, exact
windows, timestamps' values, Date and other header fields, how a response is cut into segments, and whether an ACK comes
alone or on the data that follows it. Positions in the server's stream are counted in responses ("R1", "R1+FIN").
Invariants that need no oracle (checksums, windows, timestamps that never go back) are checked on each packet.
"""
from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import random
import select
import socket
import time
from typing import Callable, Iterator

from . import net
from .tcp import ACK, ECE, FIN, PSH, RST, SYN, Options, Segment, Wire

QUIET = 0.15      # no packet for so long: there is no (further) reaction
PATIENCE = 5.0    # for a reaction that must come
CONCURRENT = 160  # scenarios in flight
MOD = 1 << 32

HEAD_END = b"\r\n\r\n"


def diff(a: int, b: int) -> int:
    """a - b in sequence space, signed."""
    return ((a - b + (MOD >> 1)) % MOD) - (MOD >> 1)


@dataclasses.dataclass(frozen=True)
class Response:
    status: int
    body: str  # digest, or "" for none

    def __str__(self) -> str:
        return f"{self.status}:{self.body or '-'}"


def digest(body: bytes) -> str:
    return f"{len(body)}/{hashlib.sha1(body).hexdigest()[:8]}" if body else ""


@dataclasses.dataclass
class Reaction:
    """What the server did in one step. Falsy when it did nothing."""

    syn_ack: tuple = ()     # (ack, option kinds, mss, echoes our timestamp, ECE)
    answers: tuple = ()     # whole responses whose last byte came in this step
    to: str = ""            # end of the stream that was new in this step
    fin: bool = False       # a FIN that was new
    ack: int | None = None  # highest acknowledgement, relative to our ISN
    ack_seq: str = ""       # where the last pure ACK says the stream is
    tsecr: int | None = None
    sack: tuple = ()        # blocks above ack (so no D-SACK), relative
    again: bool = False     # bytes or a FIN that had come before
    rst: tuple = ()         # (flags, seq, ack)

    def __bool__(self) -> bool:
        return self != Reaction()

    def __str__(self) -> str:
        parts = []
        for f in dataclasses.fields(self):
            v = getattr(self, f.name)
            if v != f.default:
                text = "[" + " ".join(map(str, v)) + "]" if isinstance(v, tuple) else str(v)
                parts.append(f.name if v is True else f"{f.name}={text}")
        return " ".join(parts) or "nothing"


@dataclasses.dataclass
class Step:
    label: str
    sent: list[Segment] = dataclasses.field(default_factory=list)
    got: list[Segment] = dataclasses.field(default_factory=list)


class Conn:
    """The client's side of one connection, and the notebook of what came back."""

    def __init__(self, wire: Wire, family: int, server_port: int, port: int, options: str):
        self.wire, self.family, self.server_port, self.port = wire, family, server_port, port
        v4 = family == socket.AF_INET
        self.src, self.dst = (net.RAW_IP4, net.SERVER_IP4) if v4 else (net.RAW_IP6, net.SERVER_IP6)
        self.full = self.wants_full = options == "full"
        self.isn = random.getrandbits(32)
        self.ts_base = random.getrandbits(32)
        self.iss: int | None = None
        self.snd_nxt = self.isn      # next sequence number that the script will use
        self.rcv_nxt = 0             # end of what came in order from the server
        self.wscale = 0              # ours, if negotiated
        self.win = 65535
        self.stream = bytearray()    # the server's bytes in order, from iss + 1
        self.pending: dict[int, Segment] = {}
        self.fin_at: int | None = None  # offset in stream
        self.methods: list[str] = []    # of the requests, in order
        self.steps: list[Step] = []
        self.violations: list[str] = []
        self.past: list[Reaction] = []   # of connections before forget()
        self.past_steps: list[Step] = []
        self.params: dict = {}
        self.patience = PATIENCE         # for a reaction that must come
        self.vlan: int | None = None     # tag of every frame, there and back
        self.loose: set[str] = set()     # fields of Reaction that depend on timing here
        self._tsval_last: int | None = None
        self._edge: int | None = None
        self._sent_edge: int | None = None
        self.has_closed = False  # our FIN is out: the server's window means nothing any more
        self._clock = itertools.count()

    # -- sending -------------------------------------------------------------------------------------------------

    def tsval(self) -> int:
        """The TSval of the next segment: 10 more for each, so that echoes can be compared."""
        return (self.ts_base + 10 * next(self._clock)) % MOD

    def syn_options(self) -> Options:
        return Options(mss=1460 if self.family == socket.AF_INET else 1440, wscale=7, sack_ok=True,
                       ts=(self.tsval(), 0)) if self.full else Options()

    def seg(self, flags: int, data: bytes = b"", *, seq: int | None = None, ack: int | None = None,
            off: int = 0, opts: Options | None = None, move: bool = True, **kw) -> Segment:
        """A segment at snd_nxt + off (or at seq). Moves snd_nxt to its end unless told otherwise, `seq` or `off`."""
        if move and seq is None and off == 0:
            at = self.snd_nxt
            self.snd_nxt = (self.snd_nxt + len(data) + bool(flags & SYN) + bool(flags & FIN)) % MOD
        else:
            at = (self.snd_nxt if seq is None else seq) + off
        if opts is None:
            opts = Options(ts=(self.tsval(), self._tsval_last or 0)) if self.full and self.iss is not None else Options()
        kw.setdefault("win", self.win)
        kw.setdefault("vlan", self.vlan)
        return Segment(self.family, self.src, self.dst, self.port, self.server_port, at % MOD,
                       (self.rcv_nxt if ack is None else ack) % MOD if flags & ACK else 0, flags, data=data, opts=opts,
                       **kw)

    def step(self, label: str, *segs: Segment, answers: int | None = None,
             until: Callable[["Conn"], bool] | None = None, fragment: int | None = None) -> Iterator:
        """Sends and collects the reaction. answers=n: n whole responses are due by the end of this step."""
        self.steps.append(Step(label))
        for s in segs:
            self.steps[-1].sent.append(s)
            self.has_closed |= bool(s.flags & FIN)
            if s.flags & ACK:
                edge = (s.ack + (s.win << self.wscale)) % MOD
                if self._sent_edge is None or diff(edge, self._sent_edge) > 0:
                    self._sent_edge = edge
            self.wire.send(s, fragment)
        if answers is not None:
            yield lambda: len(self.responses()) >= answers
        else:
            yield until and (lambda: until(self))
        return self.steps[-1].got

    def request(self, path: str, method: str = "GET", version: str = "1.1", fields: str = "") -> bytes:
        self.methods.append(method)
        return f"{method} {path} HTTP/{version}\r\nHost: weir.test\r\n{fields}\r\n".encode()

    # -- usual steps ---------------------------------------------------------------------------------------------

    def syn(self, **kw) -> Iterator:
        """SYN, and the SYN-ACK that must come."""
        kw.setdefault("opts", self.syn_options())
        if kw["opts"].wscale is not None:
            self.wscale = kw["opts"].wscale
        self._syn_win = kw.get("win", self.win)
        s = self.seg(SYN | kw.pop("flags", 0), **kw)
        yield from self.step("SYN", s, until=lambda c: c.iss is not None)

    def open(self, **kw) -> Iterator:
        yield from self.syn(**kw)
        yield from self.step("ACK of SYN-ACK", self.seg(ACK))

    def get(self, path: str, **kw) -> Iterator:
        """A request, its response, and our acknowledgement."""
        yield from self.step(f"GET {path}", self.seg(PSH | ACK, self.request(path, **kw)),
                             answers=len(self.responses()) + 1)
        yield from self.step("ACK", self.seg(ACK))

    def gone(self, path: str) -> Iterator:
        """A request that shows whether the connection still is there; nobody waits for its response."""
        yield from self.step(f"GET {path} again", self.seg(PSH | ACK, self.request(path)),
                             until=lambda c: bool(c.steps[-1].got))

    def forget(self, isn: int) -> None:
        """Starts a new connection on the same ports at `isn`; the steps so far stay as they were read."""
        self.past += self.reactions()
        self.past_steps += self.steps
        self.isn = self.snd_nxt = isn % MOD
        self.full = self.wants_full
        self.iss, self.rcv_nxt, self.wscale = None, 0, 0
        self.stream, self.pending, self.fin_at = bytearray(), {}, None
        self.methods, self.steps = [], []
        self._tsval_last = self._edge = self._sent_edge = None
        self.has_closed = False

    def abort(self) -> None:
        """Leaves nothing behind: not a step."""
        self.wire.send(self.seg(RST | ACK))

    # -- receiving -----------------------------------------------------------------------------------------------

    def take(self, s: Segment) -> None:
        """One segment from the wire. Keeps the stream, checks what must hold for every packet."""
        if not self.steps:
            return
        self.steps[-1].got.append(s)
        self.violations += s.errors
        if s.dst_mac != net.RAW_MAC:
            self.violations.append(f"sent to MAC {s.dst_mac}")
        if s.vlan != self.vlan:
            self.violations.append(f"VLAN tag {s.vlan} instead of {self.vlan}")
        if s.flags & RST:
            return
        if s.flags & SYN:
            if self.iss is None and s.flags & ACK:
                self.iss, self.rcv_nxt = s.seq, (s.seq + 1) % MOD
                if s.opts.wscale is None:
                    self.wscale = 0
                self._peer_wscale = s.opts.wscale or 0
                self.full = self.full and s.opts.ts is not None
                self._tsval_last = s.opts.ts and s.opts.ts[0]
                # The window of a SYN is never scaled.
                self._sent_edge = (s.seq + 1 + self._syn_win) % MOD
            return
        if self.iss is None:
            return
        self._check(s)
        self._assemble(s)

    def _check(self, s: Segment) -> None:
        if self.full and s.opts.ts is None:
            self.violations.append(f"timestamps are negotiated, this has none: {s}")
        if not self.full and s.opts.ts is not None:
            self.violations.append(f"timestamps are not negotiated: {s}")
        if s.opts.ts is not None:
            if self._tsval_last is not None and diff(s.opts.ts[0], self._tsval_last) < 0:
                self.violations.append(f"TSval went back from {self._tsval_last}: {s}")
            else:
                self._tsval_last = s.opts.ts[0]
        if self.has_closed:
            return
        # RFC 9293 3.8.6.2.1: the right edge must not move left (rounding by the scale aside).
        edge = (s.ack + (s.win << self._peer_wscale)) % MOD
        if self._edge is not None and diff(edge, self._edge) <= -(1 << self._peer_wscale):
            self.violations.append(f"window edge moved left by {diff(self._edge, edge)}: {s}")
        if self._edge is None or diff(edge, self._edge) > 0:
            self._edge = edge
        if s.data and self._sent_edge is not None and diff(s.seq + len(s.data), self._sent_edge) > 0:
            self.violations.append(f"data beyond our window: {s}")

    def _assemble(self, s: Segment) -> None:
        if s.data or s.flags & FIN:
            self.pending[s.seq] = s
        moved = True
        while moved:
            moved = False
            for seq, p in list(self.pending.items()):
                start = diff(seq, self.rcv_nxt)
                if start > 0:
                    continue
                del self.pending[seq]
                fresh = p.data[-start:] if -start < len(p.data) else b""
                old = p.data[:len(p.data) - len(fresh)]
                where = diff(seq, self.iss + 1)
                was = bytes(self.stream[where:where + len(old)])
                if old and mask_date(was) != mask_date(old):
                    self.violations.append(f"other bytes than before at {where}")
                if fresh and self.fin_at is not None:
                    self.violations.append("data after the server's FIN")
                if fresh:
                    self.stream += fresh
                    self.rcv_nxt = (self.rcv_nxt + len(fresh)) % MOD
                    moved = True
                if p.flags & FIN and self.fin_at is None and diff(seq + len(p.data), self.rcv_nxt) == 0:
                    self.fin_at = len(self.stream)
                    self.rcv_nxt = (self.rcv_nxt + 1) % MOD
                    moved = True

    # -- reading -------------------------------------------------------------------------------------------------

    def responses(self) -> list[tuple[int, Response]]:
        """Whole responses so far, each with the stream offset of its end."""
        out, at = [], 0
        for i in itertools.count():
            head_end = self.stream.find(HEAD_END, at)
            if head_end < 0:
                return out
            head = bytes(self.stream[at:head_end]).decode("latin-1")
            lines = head.split("\r\n")
            length = 0
            for line in lines[1:]:
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            if i < len(self.methods) and self.methods[i] == "HEAD":
                length = 0
            at = head_end + len(HEAD_END) + length
            if at > len(self.stream):
                return out
            words = lines[0].split()
            status = int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/1.") and words[1].isdigit() else -1
            out.append((at, Response(status, digest(bytes(self.stream[at - length:at])))))

    def reactions(self) -> list[Reaction]:
        """The notebook in a form that can be compared."""
        ends = [0] + [end for end, _ in self.responses()]
        answers = [r for _, r in self.responses()]

        def place(seq: int) -> str:
            if self.iss is None:
                return "?"
            p = diff(seq, self.iss + 1)
            fin = self.fin_at is not None and p == self.fin_at + 1
            p -= fin
            if p < 0:
                return f"R0{p}"
            k = max(i for i, e in enumerate(ends) if e <= p)
            if k + 1 < len(ends) and 0 < ends[k + 1] - p < 64 and p > ends[k]:
                return f"R{k + 1}-{ends[k + 1] - p}"  # near its end: a head may have any length
            return f"R{k}" + (f"+{p - ends[k]}" if p > ends[k] else "") + ("+FIN" if fin else "")

        out = []
        edge = None if self.iss is None else (self.iss + 1) % MOD   # end of what came before this step
        una = edge                                                  # highest acknowledgement that we sent
        for step in self.steps:
            for s in step.sent:
                if s.flags & ACK and una is not None and diff(s.ack, una) > 0:
                    una = s.ack
            r = Reaction()
            start = edge
            for s in step.got:
                if s.flags & RST:
                    if s.seq == 0:
                        where = "0"
                    elif any(s.seq == x.ack for x in step.sent):
                        where = "as acknowledged"  # RFC 9293 3.10.7.1
                    else:
                        where = place(s.seq)
                    r.rst = ("RA" if s.flags & ACK else "R", where,
                             diff(s.ack, self.isn) if s.flags & ACK else None)
                    continue
                if s.flags & SYN:
                    r.syn_ack = (diff(s.ack, self.isn), s.opts.kinds(), s.opts.mss,
                                 s.opts.ts is not None and s.opts.ts[1] in {x.opts.ts[0] for x in step.sent if x.opts.ts},
                                 bool(s.flags & ECE), len(s.data))
                    continue
                if edge is None:
                    continue
                if not s.space and diff(s.seq, una) == -1:
                    continue  # a window or keep-alive probe of the kernel
                if s.space:
                    end = s.seq + s.space
                    if diff(end, edge) <= 0:
                        r.again = True
                    else:
                        edge = end % MOD
                        r.fin |= bool(s.flags & FIN)
                else:
                    r.ack_seq = place(s.seq)
                ack = diff(s.ack, self.isn)
                if r.ack is None or ack >= r.ack:
                    r.ack = ack
                    if s.opts.ts:
                        r.tsecr = diff(s.opts.ts[1], self.ts_base)
                    r.sack = tuple((diff(a, self.isn), diff(b, self.isn)) for a, b in s.opts.sack
                                   if diff(a, s.ack) > 0)
            if start is not None and edge != start:
                a, b = diff(start, self.iss + 1), diff(edge, self.iss + 1)
                r.answers = tuple(x for e, x in zip(ends[1:], answers) if a < e <= b)
                r.to = place(edge)
                r.ack_seq = ""
            for name in self.loose:
                setattr(r, name, Reaction.__dataclass_fields__[name].default)
            out.append(r)
        return self.past + out

    def transcript(self) -> str:
        """For people who must find out why a test failed."""
        lines = []
        for i, (step, r) in enumerate(zip(self.past_steps + self.steps, self.reactions())):
            lines.append(f"  {i}. {step.label}")
            for arrow, segs in ((">", step.sent), ("<", step.got)):
                for s in segs:
                    rel = dataclasses.replace(
                        s, seq=diff(s.seq, self.isn if arrow == ">" else (self.iss or 0)),
                        ack=diff(s.ack, (self.iss or 0) if arrow == ">" else self.isn) if s.flags & ACK else 0)
                    lines.append(f"       {arrow} {rel}{'  ' + repr(s.data[:60]) if s.data else ''}")
            lines.append(f"       = {r}")
        return "\n".join(lines)


def mask_date(data: bytes) -> bytes:
    """The bytes without the digits and names of a Date value: only that may differ in a repetition."""
    at = data.find(b"\r\nDate: ")
    return data if at < 0 else data[:at + 8] + b"*" * len(data[at + 8:at + 37]) + data[at + 37:]


@dataclasses.dataclass
class Play:
    """One scenario on one connection."""

    key: tuple
    conn: Conn
    script: Iterator
    is_due: Callable[[], bool] | None = None
    since: float = 0.0
    moved: float = 0.0
    error: BaseException | None = None

    def resume(self) -> bool:
        """Runs to the next wait. False: finished."""
        try:
            self.is_due = self.script.send(None)
        except StopIteration:
            return False
        except Exception as e:  # a script that cannot go on: shown with its transcript
            self.error = e
            return False
        self.since = self.moved = time.monotonic()
        return True


class Player:
    """Runs scenarios on one Wire. Each gets a client port of its own, never used before in this process."""

    _ports = itertools.count(random.randrange(10000, 30000))

    def __init__(self, wire: Wire, server_port: int):
        self.wire, self.server_port = wire, server_port

    def play(self, scripts: dict[tuple, tuple[Callable, int, str, dict]]) -> dict[tuple, Conn]:
        """key -> (scenario, family, "full" or "bare", parameters); returns key -> Conn with its notebook."""
        waiting = collections.deque(scripts.items())
        active: dict[int, Play] = {}
        done: dict[tuple, Conn] = {}

        def finish(p: Play) -> None:
            if p.error:
                p.conn.violations.append(f"script stopped: {p.error!r}")
            p.conn.abort()
            done[p.key] = p.conn
            del active[p.conn.port]

        while waiting or active:
            while waiting and len(active) < CONCURRENT:
                key, (scenario, family, options, params) = waiting.popleft()
                conn = Conn(self.wire, family, self.server_port, next(self._ports) % 55000 + 5000, options)
                conn.params = params
                p = Play(key, conn, scenario(conn))
                active[conn.port] = p
                if not p.resume():
                    finish(p)
            select.select([self.wire], [], [], 0.01)
            for s in self.wire.receive():
                p = active.get(s.dport)
                if p and s.family == p.conn.family and s.sport == self.server_port and s.src == p.conn.dst:
                    p.conn.take(s)
                    p.moved = time.monotonic()
            now = time.monotonic()
            for p in list(active.values()):
                due = p.is_due is None or p.is_due() or now - p.since > p.conn.patience
                if due and now - p.moved >= QUIET and not p.resume():
                    finish(p)
        return done
