# SPDX-License-Identifier: GPL-2.0
"""The packets that are played against Linux and against Weir. See tests/harness/play.py for what a scenario is.

SCENARIOS: on a fresh 4-tuple, once. STATES x IN_CONNECTION: on a connection that has got into one of these states:
  open    handshake only                      kernel  an uncached miss: a worker owns it
  xdp     a cached hit: XDP owns it           lent    hit, then miss: handed over in the middle
                                              seized  miss, then hit: taken back
For the oracle all of them are just connections with some requests behind them.
"""
from __future__ import annotations

import socket

from harness.play import Conn
from harness.tcp import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG, Options

HIT, MISS = "/hit/small-100.txt", "/miss/small-120.txt"
STATES = {
    "open": ((), HIT),
    "xdp": ((HIT,), HIT),
    "kernel": ((MISS,), MISS),
    "lent": ((HIT, MISS), MISS),
    "seized": ((MISS, HIT), HIT),
}

FRESH: dict[str, object] = {}
IN_CONNECTION: dict[str, object] = {}


def fresh(fn):
    FRESH[fn.__name__] = fn
    return fn


def in_connection(fn):
    def script(c: Conn):
        yield from c.open()
        for path in c.params["prelude"]:
            yield from c.get(path)
        yield from fn(c, c.params["url"])

    IN_CONNECTION[fn.__name__] = script
    return fn


def still_serves(c: Conn, url: str):
    """The connection goes on: one more request is answered."""
    yield from c.get(url)


# -- fresh: handshakes -------------------------------------------------------------------------------------------------


@fresh
def syn_without_options(c):
    yield from c.open(opts=Options())
    yield from c.get(HIT)


@fresh
def syn_with_mss(c):
    yield from c.open(opts=Options(mss=1000))
    yield from c.get(HIT)


@fresh
def syn_with_mss_64(c):
    yield from c.open(opts=Options(mss=64))
    yield from c.get(HIT)


@fresh
def syn_with_sack_without_timestamps(c):
    # Without timestamps a cookie has no room for SACK and window scale, in Linux as here.
    yield from c.open(opts=Options(mss=1460, wscale=7, sack_ok=True))
    yield from c.get(HIT)


@fresh
def syn_with_timestamps_only(c):
    yield from c.open(opts=Options(mss=1460, ts=(c.tsval(), 0)))
    yield from c.get(HIT)


@fresh
def syn_with_window_scale_14(c):
    yield from c.open(opts=Options(mss=1460, wscale=14, sack_ok=True, ts=(c.tsval(), 0)))
    yield from c.get(HIT)


@fresh
def syn_with_window_scale_15(c):
    # RFC 7323 2.3: more than 14 counts as 14.
    yield from c.open(opts=Options(mss=1460, wscale=15, sack_ok=True, ts=(c.tsval(), 0)))
    yield from c.get(HIT)


@fresh
def syn_with_unknown_option(c):
    yield from c.open(opts=Options(mss=1460, raw=b"\xfd\x04\x12\x34"))
    yield from c.get(HIT)


@fresh
def syn_with_fast_open_cookie_request(c):
    yield from c.open(opts=Options(mss=1460, raw=b"\x22\x02"))
    yield from c.get(HIT)


@fresh
def syn_with_broken_option_length(c):
    # Kind 2 with length 0: a receiver stops reading options there.
    yield from c.open(opts=Options(raw=b"\x02\x00\x05\xb4"))
    yield from c.get(HIT)


@fresh
def syn_with_option_beyond_header(c):
    yield from c.open(opts=Options(raw=b"\x01\x01\x02\x04"))
    yield from c.get(HIT)


@fresh
def syn_with_mss_option_of_wrong_length(c):
    yield from c.open(opts=Options(raw=b"\x02\x03\x05\x01"))
    yield from c.get(HIT)


@fresh
def syn_with_mss_0(c):
    yield from c.open(opts=Options(mss=0))
    yield from c.get(HIT)


@fresh
def syn_for_ecn(c):
    yield from c.open(flags=ECE | CWR)
    yield from c.get(HIT)


@fresh
def syn_with_zero_window(c):
    yield from c.open(win=0)
    yield from c.get(HIT)


@fresh
def syn_with_payload(c):
    # No fast open: the payload is not taken, and comes again behind the handshake.
    request = c.request(HIT)
    syn = c.seg(SYN, request, opts=c.syn_options())
    c.wscale, c._syn_win = syn.opts.wscale or 0, c.win
    c.snd_nxt = c.isn + 1
    yield from c.step("SYN with request", syn, until=lambda c: c.iss is not None)
    yield from c.step("ACK with request", c.seg(PSH | ACK, request), answers=1)
    yield from c.step("ACK", c.seg(ACK))


@fresh
def syn_with_push_and_urg(c):
    yield from c.open(flags=PSH | URG)
    yield from c.get(HIT)


@fresh
def syn_with_fin(c):
    yield from c.step("SYN FIN", c.seg(SYN | FIN, opts=c.syn_options(), move=False))


@fresh
def syn_with_rst(c):
    yield from c.step("SYN RST", c.seg(SYN | RST, opts=c.syn_options(), move=False))


@fresh
def syn_ack_out_of_nowhere(c):
    yield from c.step("SYN ACK", c.seg(SYN | ACK, ack=12345, move=False))


@fresh
def syn_ack_fin_rst_urg_all_at_once(c):
    yield from c.step("every flag", c.seg(SYN | ACK | FIN | RST | URG | PSH, ack=12345, move=False))


@fresh
def no_flags_at_all(c):
    yield from c.step("null", c.seg(0, move=False))


@fresh
def fin_without_connection(c):
    yield from c.step("FIN", c.seg(FIN, move=False))


@fresh
def fin_ack_without_connection(c):
    yield from c.step("FIN ACK", c.seg(FIN | ACK, ack=777777, move=False))


@fresh
def rst_without_connection(c):
    yield from c.step("RST", c.seg(RST, move=False))
    yield from c.step("RST ACK", c.seg(RST | ACK, ack=777777, move=False))


@fresh
def data_without_connection(c):
    yield from c.step("data", c.seg(PSH | ACK, c.request(HIT), ack=777777, move=False))


@fresh
def syn_again(c):
    syn = c.seg(SYN, opts=c.syn_options())
    c.wscale, c._syn_win = syn.opts.wscale or 0, c.win
    yield from c.step("SYN", syn, until=lambda c: c.iss is not None)
    yield from c.step("the same SYN", syn, until=lambda c: bool(c.steps[-1].got))
    yield from c.step("ACK of SYN-ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def ack_of_syn_ack_twice(c):
    yield from c.open()
    yield from c.step("the same ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def wrong_ack_of_syn_ack(c):
    yield from c.syn()
    # Not by 1: Linux keeps the index of the MSS in the cookie's lowest bits, and takes a neighbour for another MSS.
    yield from c.step("ACK + 1000", c.seg(ACK, ack=c.rcv_nxt + 1000), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("ACK - 1000", c.seg(ACK, ack=c.rcv_nxt - 1000), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("right ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def wrong_seq_in_ack_of_syn_ack(c):
    yield from c.syn()
    yield from c.step("seq + 1000", c.seg(ACK, off=1000), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("right ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def forged_cookie(c):
    yield from c.step("ACK of nothing", c.seg(ACK, seq=c.isn + 1, ack=0x12345678),
                      until=lambda c: bool(c.steps[-1].got))


@fresh
def forged_cookie_with_request(c):
    yield from c.step("request, no handshake", c.seg(PSH | ACK, c.request(HIT), seq=c.isn + 1, ack=0x12345678),
                      until=lambda c: bool(c.steps[-1].got))


@fresh
def cookie_of_another_port(c):
    yield from c.syn()
    stolen = c.seg(ACK, move=False)
    stolen.sport ^= 0x8000  # its reaction goes to a port that nobody watches
    yield from c.step("ACK from another port", stolen)
    yield from c.step("right ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def request_in_ack_of_syn_ack(c):
    yield from c.syn()
    yield from c.step("ACK with request", c.seg(PSH | ACK, c.request(HIT)), answers=1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, HIT)


@fresh
def miss_in_ack_of_syn_ack(c):
    yield from c.syn()
    yield from c.step("ACK with request", c.seg(PSH | ACK, c.request(MISS)), answers=1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, MISS)


@fresh
def half_request_in_ack_of_syn_ack(c):
    yield from c.syn()
    request = c.request(HIT)
    yield from c.step("first half", c.seg(PSH | ACK, request[:20]), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("second half", c.seg(PSH | ACK, request[20:]), answers=1)
    yield from c.step("ACK", c.seg(ACK))


@fresh
def fin_in_ack_of_syn_ack(c):
    yield from c.syn()
    yield from c.step("FIN ACK", c.seg(FIN | ACK), until=lambda c: c.fin_at is not None)
    yield from c.step("ACK", c.seg(ACK))


@fresh
def request_and_fin_in_ack_of_syn_ack(c):
    yield from c.syn()
    yield from c.step("request FIN", c.seg(PSH | FIN | ACK, c.request(HIT)), until=lambda c: c.fin_at is not None)
    yield from c.step("ACK", c.seg(ACK))


@fresh
def rst_to_syn_ack(c):
    yield from c.syn()
    yield from c.step("RST", c.seg(RST))
    # Nothing was stored, so nothing was forgotten: the cookie still is good.
    yield from c.step("ACK of SYN-ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def fin_without_ack_to_syn_ack(c):
    yield from c.syn()
    yield from c.step("FIN alone", c.seg(FIN, move=False))
    yield from c.step("ACK of SYN-ACK", c.seg(ACK))
    yield from c.get(HIT)


@fresh
def syn_for_a_closed_port(c):
    c.server_port += 1
    yield from c.step("SYN", c.seg(SYN, opts=c.syn_options()))


@fresh
def syn_with_bad_tcp_checksum(c):
    yield from c.step("SYN", c.seg(SYN, opts=c.syn_options(), bad_tcp_csum=True, move=False))
    yield from c.open()


@fresh
def syn_with_bad_ip_checksum(c):
    yield from c.step("SYN", c.seg(SYN, opts=c.syn_options(), bad_ip_csum=c.family == socket.AF_INET,
                                   bad_tcp_csum=c.family != socket.AF_INET, move=False))
    yield from c.open()


@fresh
def syn_for_another_mac(c):
    yield from c.step("SYN", c.seg(SYN, opts=c.syn_options(), dst_mac="02:77:00:00:00:55", move=False))
    yield from c.open()


@fresh
def syn_for_another_address(c):
    syn = c.seg(SYN, opts=c.syn_options(), move=False)
    syn.dst = syn.dst[:-1] + "7"
    yield from c.step("SYN", syn)
    yield from c.open()


@fresh
def syn_with_ip_options(c):
    syn = c.seg(SYN, opts=c.syn_options(), ip_options=ip_options(c))
    c.wscale, c._syn_win = syn.opts.wscale or 0, c.win
    yield from c.step("SYN", syn, until=lambda c: c.iss is not None)
    yield from c.step("ACK of SYN-ACK", c.seg(ACK))
    yield from c.get(HIT)


def ip_options(c) -> bytes:
    """Harmless ones: IPv4 no-operations; an IPv6 destination options header with padding."""
    return b"\x01\x01\x01\x00" if c.family == socket.AF_INET else b"\0\0\x01\x04\0\0\0\0"


# -- in a connection: data ---------------------------------------------------------------------------------------------


@in_connection
def requests_in_order(c, url):
    yield from c.get(url)
    yield from c.get(url)


@in_connection
def hit_and_miss_in_turn(c, url):
    for path in (HIT, MISS, HIT, MISS):
        yield from c.get(path)


@in_connection
def head_request(c, url):
    yield from c.get(url, method="HEAD")
    yield from still_serves(c, url)


@in_connection
def request_split_in_two(c, url):
    request = c.request(url)
    yield from c.step("first half", c.seg(PSH | ACK, request[:20]), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("second half", c.seg(PSH | ACK, request[20:]), answers=len(c.responses()) + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def request_byte_by_byte(c, url):
    n = len(c.responses())
    c.loose.add("tsecr")  # which of the segments a delayed ACK echoes is a matter of time
    for b in c.request(url):
        c.wire.send(c.seg(PSH | ACK, bytes([b])))
    yield from c.step("all bytes sent", c.seg(ACK), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def two_requests_in_one_segment(c, url):
    n = len(c.responses())
    yield from c.step("two", c.seg(PSH | ACK, c.request(url) + c.request(url)), answers=n + 2)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def second_request_before_ack_of_first_response(c, url):
    n, una = len(c.responses()), c.rcv_nxt
    yield from c.step("first", c.seg(PSH | ACK, c.request(url)), answers=n + 1)
    second = c.request(url)
    yield from c.step("second, old ACK", c.seg(PSH | ACK, second, ack=una))
    yield from c.step("second again, new ACK", c.seg(PSH | ACK, second, seq=c.snd_nxt - len(second)),
                      answers=n + 2)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def request_repeated_before_ack(c, url):
    n, una = len(c.responses()), c.rcv_nxt
    request = c.seg(PSH | ACK, c.request(url))
    yield from c.step("request", request, answers=n + 1)
    yield from c.step("the same", c.seg(PSH | ACK, request.data, seq=request.seq, ack=una),
                      until=lambda c: bool(c.steps[-1].got))
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def request_repeated_after_ack(c, url):
    n = len(c.responses())
    request = c.seg(PSH | ACK, c.request(url))
    yield from c.step("request", request, answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from c.step("the same", c.seg(PSH | ACK, request.data, seq=request.seq),
                      until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def old_data(c, url):
    yield from c.step("10 old bytes", c.seg(PSH | ACK, b"0123456789", off=-10), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def old_data_and_new_request(c, url):
    n = len(c.responses())
    request = c.request(url)
    s = c.seg(PSH | ACK, request)
    seq = s.seq
    s.seq, s.data = seq - 5, b"\n" * 5 + request
    yield from c.step("5 old bytes and the request", s, until=lambda c: bool(c.steps[-1].got))
    yield from c.step("the request without them", c.seg(PSH | ACK, request, seq=seq), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def second_half_first(c, url):
    n = len(c.responses())
    request = c.request(url)
    yield from c.step("second half", c.seg(PSH | ACK, request[20:], off=20), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("first half", c.seg(PSH | ACK, request[:20]), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("second half again", c.seg(PSH | ACK, request[20:]), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def future_request(c, url):
    yield from c.step("beyond a hole", c.seg(PSH | ACK, b"x" * 50, off=1000), until=lambda c: bool(c.steps[-1].got))


@in_connection
def data_beyond_window(c, url):
    yield from c.step("far right", c.seg(PSH | ACK, b"x" * 50, off=50_000_000),
                      until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def ack_beyond_window(c, url):
    yield from c.step("far right, no data", c.seg(ACK, off=50_000_000), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def data_far_left(c, url):
    yield from c.step("far left", c.seg(PSH | ACK, b"x" * 50, off=-50_000_000),
                      until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def pure_ack_again(c, url):
    yield from c.step("ACK", c.seg(ACK))
    yield from c.step("ACK, smaller window", c.seg(ACK, win=100))
    yield from c.step("ACK, window as before", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def pure_ack_of_the_future(c, url):
    yield from c.step("ACK + 7", c.seg(ACK, off=7))
    yield from still_serves(c, url)


@in_connection
def keepalive_probe_without_data(c, url):
    yield from c.step("probe", c.seg(ACK, off=-1), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def keepalive_probe_with_one_byte(c, url):
    yield from c.step("probe", c.seg(ACK, b"\0", off=-1), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def request_with_zero_window(c, url):
    n = len(c.responses())
    yield from c.step("request, window 0", c.seg(PSH | ACK, c.request(url), win=0))
    yield from c.step("window open", c.seg(ACK), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def request_with_small_window(c, url):
    n = len(c.responses())
    small = 50 >> c.wscale or 1
    yield from c.step("request, small window", c.seg(PSH | ACK, c.request(url), win=small))
    yield from c.step("window open", c.seg(ACK), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def response_acknowledged_in_part(c, url):
    n = len(c.responses())
    yield from c.step("request", c.seg(PSH | ACK, c.request(url)), answers=n + 1)
    yield from c.step("ACK of all but 10 bytes", c.seg(ACK, ack=c.rcv_nxt - 10))
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def urgent_pointer_beyond_data(c, url):
    n = len(c.responses())
    yield from c.step("URG", c.seg(PSH | ACK | URG, c.request(url), urg=5000), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))


@in_connection
def congestion_flags_without_ecn(c, url):
    n = len(c.responses())
    yield from c.step("ECE CWR", c.seg(PSH | ACK | ECE | CWR, c.request(url)), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def segment_without_ack_flag(c, url):
    yield from c.step("PSH", c.seg(PSH, c.request(url), move=False))
    yield from c.step("FIN", c.seg(FIN, move=False))
    yield from c.step("null", c.seg(0, move=False))
    c.methods.pop()
    yield from still_serves(c, url)


@in_connection
def ack_of_unsent_data(c, url):
    yield from c.step("ACK + 1000", c.seg(ACK, ack=c.rcv_nxt + 1000))
    yield from c.step("request, ACK + 1000", c.seg(PSH | ACK, c.request(url), ack=c.rcv_nxt + 1000, move=False))
    c.methods.pop()
    yield from still_serves(c, url)


@in_connection
def ack_slightly_old(c, url):
    yield from c.step("ACK - 10", c.seg(ACK, ack=c.rcv_nxt - 10))
    n = len(c.responses())
    request = c.seg(PSH | ACK, c.request(url), ack=c.rcv_nxt - 10)
    yield from c.step("request, ACK - 10", request)
    yield from c.step("the same, right ACK", c.seg(PSH | ACK, request.data, seq=request.seq), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))


@in_connection
def ack_far_too_old(c, url):
    yield from c.step("ACK - 100,000,000", c.seg(ACK, ack=c.rcv_nxt - 100_000_000))
    yield from c.step("request, ACK - 100,000,000",
                      c.seg(PSH | ACK, c.request(url), ack=c.rcv_nxt - 100_000_000, move=False))
    c.methods.pop()
    yield from still_serves(c, url)


@in_connection
def unknown_option_on_request(c, url):
    n = len(c.responses())
    s = c.seg(PSH | ACK, c.request(url))
    s.opts.raw = b"\xfd\x04\x12\x34"
    yield from c.step("option 253", s, answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def ip_options_on_request(c, url):
    n = len(c.responses())
    yield from c.step("IP options", c.seg(PSH | ACK, c.request(url), ip_options=ip_options(c)), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def bad_tcp_checksum(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url), bad_tcp_csum=True, move=False))
    c.methods.pop()
    yield from c.step("RST", c.seg(RST, bad_tcp_csum=True, move=False))
    yield from still_serves(c, url)


@in_connection
def wrong_mac(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url), dst_mac="02:77:00:00:00:55", move=False))
    c.methods.pop()
    yield from still_serves(c, url)


@in_connection
def ip_fragments(c, url):
    n = len(c.responses())
    request = c.seg(PSH | ACK, c.request(url))
    yield from c.step("request in two fragments", request, fragment=40)
    yield from c.step("the same in one piece", c.seg(PSH | ACK, request.data, seq=request.seq), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


# -- in a connection: timestamps ---------------------------------------------------------------------------------------


def with_ts(c, tsval: int | None) -> Options:
    if c.full and tsval is not None:
        return Options(ts=(tsval, c._tsval_last or 0))
    return Options()


@in_connection
def timestamp_too_old(c, url):
    yield from c.step("request, TSval - 100,000",
                      c.seg(PSH | ACK, c.request(url), opts=with_ts(c, c.ts_base - 100_000), move=False)
                      if c.full else c.seg(ACK))
    if c.full:
        c.methods.pop()
    yield from still_serves(c, url)


@in_connection
def rst_with_old_timestamp(c, url):
    # RFC 7323 5.2: PAWS does not apply to RST.
    yield from c.step("RST, TSval - 100,000", c.seg(RST | ACK, opts=with_ts(c, c.ts_base - 100_000), move=False))
    yield from c.gone(url)


@in_connection
def timestamp_missing(c, url):
    n = len(c.responses())
    yield from c.step("request, no timestamp", c.seg(PSH | ACK, c.request(url), opts=Options()), answers=n + 1)
    yield from c.step("ACK, no timestamp", c.seg(ACK, opts=Options()))
    yield from still_serves(c, url)


@in_connection
def timestamp_not_negotiated(c, url):
    n = len(c.responses())
    opts = None if c.full else Options(ts=(12345, 0))
    yield from c.step("request with timestamp", c.seg(PSH | ACK, c.request(url), opts=opts), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def timestamp_far_ahead(c, url):
    n = len(c.responses())
    yield from c.step("request, TSval + 1,000,000,000",
                      c.seg(PSH | ACK, c.request(url), opts=with_ts(c, c.ts_base + 1_000_000_000)), answers=n + 1)
    c.ts_base += 1_000_000_000
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


@in_connection
def echo_of_a_timestamp_never_sent(c, url):
    n = len(c.responses())
    opts = Options(ts=(c.tsval(), 0)) if c.full else None
    yield from c.step("request, TSecr 0", c.seg(PSH | ACK, c.request(url), opts=opts), answers=n + 1)
    yield from c.step("ACK", c.seg(ACK))
    yield from still_serves(c, url)


# -- in a connection: RST and SYN, RFC 5961 ----------------------------------------------------------------------------


@in_connection
def rst_exact(c, url):
    yield from c.step("RST", c.seg(RST, move=False))
    yield from c.gone(url)


@in_connection
def rst_ack_exact(c, url):
    yield from c.step("RST ACK", c.seg(RST | ACK, move=False))
    yield from c.gone(url)


@in_connection
def rst_in_window(c, url):
    yield from c.step("RST + 10", c.seg(RST, off=10), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def rst_outside_window(c, url):
    yield from c.step("RST - 1", c.seg(RST, off=-1))
    yield from c.step("RST - 1000", c.seg(RST, off=-1000))
    yield from c.step("RST + 50,000,000", c.seg(RST, off=50_000_000))
    yield from still_serves(c, url)


@in_connection
def syn_in_window(c, url):
    yield from c.step("SYN + 10", c.seg(SYN, off=10, opts=c.syn_options()), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def syn_at_the_edge(c, url):
    yield from c.step("SYN + 0", c.seg(SYN, opts=c.syn_options(), move=False),
                      until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def syn_outside_window(c, url):
    yield from c.step("SYN + 50,000,000", c.seg(SYN, off=50_000_000, opts=c.syn_options()),
                      until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def the_first_syn_once_more(c, url):
    yield from c.step("SYN", c.seg(SYN, seq=c.isn, opts=c.syn_options()), until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


@in_connection
def syn_ack_in_connection(c, url):
    yield from c.step("SYN ACK", c.seg(SYN | ACK, opts=c.syn_options(), move=False),
                      until=lambda c: bool(c.steps[-1].got))
    yield from still_serves(c, url)


# -- in a connection: closing ------------------------------------------------------------------------------------------


def fin_seen(c: Conn) -> bool:
    return c.fin_at is not None


def is_gone(c: Conn, url: str):
    """The connection is no more. Without a byte in either direction both sequence numbers have moved by one, and
    Linux's cookie arithmetic takes the same cookie once more: not worth comparing."""
    if c.params["state"] != "open":
        yield from c.gone(url)


@in_connection
def fin(c, url):
    yield from c.step("FIN", c.seg(FIN | ACK), until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))
    yield from is_gone(c, url)


@in_connection
def fin_again_in_last_ack(c, url):
    una = c.rcv_nxt
    f = c.seg(FIN | ACK)
    yield from c.step("FIN", f, until=fin_seen)
    yield from c.step("FIN again", c.seg(FIN | ACK, seq=f.seq, ack=una))
    yield from c.step("ACK", c.seg(ACK))


@in_connection
def rst_in_last_ack(c, url):
    yield from c.step("FIN", c.seg(FIN | ACK), until=fin_seen)
    yield from c.step("RST", c.seg(RST, move=False))
    yield from is_gone(c, url)


@in_connection
def data_after_fin(c, url):
    una = c.rcv_nxt
    yield from c.step("FIN", c.seg(FIN | ACK), until=fin_seen)
    yield from c.step("data, FIN not acknowledged", c.seg(PSH | ACK, c.request(url), ack=una))


@in_connection
def fin_with_request(c, url):
    yield from c.step("request FIN", c.seg(PSH | FIN | ACK, c.request(url)), until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))
    yield from c.gone(url)


@in_connection
def half_close(c, url):
    n = len(c.responses())
    yield from c.step("request", c.seg(PSH | ACK, c.request(url)), answers=n + 1)
    yield from c.step("FIN, response acknowledged", c.seg(FIN | ACK), until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))


@in_connection
def half_close_before_ack(c, url):
    n, una = len(c.responses()), c.rcv_nxt
    yield from c.step("request", c.seg(PSH | ACK, c.request(url)), answers=n + 1)
    f, response_end = c.seg(FIN | ACK, ack=una), c.rcv_nxt
    yield from c.step("FIN, response not acknowledged", f)
    yield from c.step("FIN again, response acknowledged", c.seg(FIN | ACK, seq=f.seq, ack=response_end),
                      until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))


@in_connection
def fin_beyond_a_hole(c, url):
    yield from c.step("FIN + 10", c.seg(FIN | ACK, off=10), until=lambda c: bool(c.steps[-1].got))


@in_connection
def fin_of_unsent_ack(c, url):
    yield from c.step("FIN, ACK + 1000", c.seg(FIN | ACK, ack=c.rcv_nxt + 1000, move=False))
    yield from still_serves(c, url)


@in_connection
def connection_close(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))
    yield from c.step("FIN", c.seg(FIN | ACK), until=lambda c: bool(c.steps[-1].got))
    f = c.steps[-1].sent[0]
    yield from c.step("FIN again in TIME-WAIT", c.seg(FIN | ACK, seq=f.seq), until=lambda c: bool(c.steps[-1].got))


@in_connection
def connection_close_one_step(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    yield from c.step("FIN and ACK", c.seg(FIN | ACK), until=lambda c: bool(c.steps[-1].got))


@in_connection
def http_1_0(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, version="1.0")), until=fin_seen)
    yield from c.step("FIN and ACK", c.seg(FIN | ACK), until=lambda c: bool(c.steps[-1].got))


@in_connection
def simultaneous_close(c, url):
    # Our FIN is on its way while the server's comes: it acknowledges neither response nor FIN.
    una = c.rcv_nxt
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    f = c.seg(FIN | ACK, ack=c.rcv_nxt - 1)
    yield from c.step("FIN, acknowledges the response only", f, until=lambda c: bool(c.steps[-1].got))
    yield from c.step("ACK", c.seg(ACK))
    yield from c.step("FIN again", c.seg(FIN | ACK, seq=f.seq), until=lambda c: bool(c.steps[-1].got))
    assert una is not None


@in_connection
def data_after_connection_close(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))
    yield from c.step("another request", c.seg(PSH | ACK, c.request(url)), until=lambda c: bool(c.steps[-1].got))


@in_connection
def rst_in_time_wait(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    yield from c.step("FIN and ACK", c.seg(FIN | ACK), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("RST", c.seg(RST, move=False))


@in_connection
def data_in_time_wait(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    yield from c.step("FIN and ACK", c.seg(FIN | ACK), until=lambda c: bool(c.steps[-1].got))
    yield from c.step("data", c.seg(PSH | ACK, b"x" * 10, move=False))


@in_connection
def new_connection_in_time_wait(c, url):
    yield from c.step("request", c.seg(PSH | ACK, c.request(url, fields="Connection: close\r\n")), until=fin_seen)
    yield from c.step("FIN and ACK", c.seg(FIN | ACK), until=lambda c: bool(c.steps[-1].got))
    yield from reopen(c, url)


@in_connection
def new_connection_after_close(c, url):
    yield from c.step("FIN", c.seg(FIN | ACK), until=fin_seen)
    yield from c.step("ACK", c.seg(ACK))
    yield from reopen(c, url)


@in_connection
def new_connection_after_rst(c, url):
    yield from c.step("RST", c.seg(RST, move=False))
    yield from reopen(c, url)


def reopen(c: Conn, url: str):
    """A new connection on the same ports, with a higher ISN and later timestamps (RFC 6191)."""
    c.forget(c.snd_nxt + 100_000)
    yield from c.open()
    yield from c.get(url)
