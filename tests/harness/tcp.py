# SPDX-License-Identifier: GPL-2.0
"""TCP segments by hand: build and parse Ethernet + IPv4/IPv6 + TCP with options, every checksum computed and checked.

Small and fast on purpose (scapy takes milliseconds a packet); knows no connection, see play.py for that.
"""
from __future__ import annotations

import dataclasses
import socket
import struct

from . import net

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
FLAG_LETTERS = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "."), (URG, "U"), (ECE, "E"), (CWR, "C"))

ETH_IP4, ETH_IP6, ETH_VLAN = 0x0800, 0x86DD, 0x8100
ETH_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 16


def flag_text(flags: int) -> str:
    return "".join(letter for bit, letter in FLAG_LETTERS if flags & bit) or "-"


def csum(data: bytes, start: int = 0) -> int:
    """One's complement sum, folded, not inverted."""
    if len(data) & 1:
        data += b"\0"
    total = start + sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


@dataclasses.dataclass
class Options:
    """TCP options that mean something here; `raw` goes out in front of them as it is."""

    mss: int | None = None
    wscale: int | None = None
    sack_ok: bool = False
    ts: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()
    raw: bytes = b""
    unknown: tuple[int, ...] = ()

    def pack(self) -> bytes:
        out = bytearray(self.raw)
        if self.mss is not None:
            out += struct.pack("!BBH", 2, 4, self.mss)
        if self.sack_ok:
            out += b"\x04\x02"
        if self.ts is not None:
            out += struct.pack("!BBII", 8, 10, self.ts[0] & 0xFFFFFFFF, self.ts[1] & 0xFFFFFFFF)
        if self.wscale is not None:
            out += struct.pack("!BBB", 3, 3, self.wscale)
        if self.sack:
            out += struct.pack("!BB", 5, 2 + 8 * len(self.sack))
            for left, right in self.sack:
                out += struct.pack("!II", left & 0xFFFFFFFF, right & 0xFFFFFFFF)
        out += b"\x01" * (-len(out) % 4)
        return bytes(out)

    @classmethod
    def parse(cls, data: bytes) -> "Options":
        o = cls()
        i = 0
        while i < len(data) and data[i] != 0:
            if data[i] == 1:
                i += 1
                continue
            if i + 1 >= len(data) or data[i + 1] < 2 or i + data[i + 1] > len(data):
                raise ValueError(f"malformed TCP options {data.hex()}")
            kind, body = data[i], data[i + 2:i + data[i + 1]]
            i += data[i + 1]
            if kind == 2:
                (o.mss,) = struct.unpack("!H", body)
            elif kind == 3:
                o.wscale = body[0]
            elif kind == 4:
                o.sack_ok = True
            elif kind == 5:
                n = struct.unpack(f"!{len(body) // 4}I", body)
                o.sack = tuple(zip(n[::2], n[1::2]))
            elif kind == 8:
                o.ts = struct.unpack("!II", body)
            else:
                o.unknown += (kind,)
        return o

    def kinds(self) -> tuple[str, ...]:
        """Which options a SYN or SYN-ACK carried."""
        names = (("mss", self.mss), ("wscale", self.wscale), ("ts", self.ts))
        return tuple(n for n, v in names if v is not None) + (("sack",) if self.sack_ok else ())


@dataclasses.dataclass
class Segment:
    family: int
    src: str
    dst: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    win: int = 65535
    opts: Options = dataclasses.field(default_factory=Options)
    data: bytes = b""
    urg: int = 0
    src_mac: str = net.RAW_MAC
    dst_mac: str = net.SERVER_MAC
    # Faults on purpose.
    bad_tcp_csum: bool = False
    bad_ip_csum: bool = False
    ip_options: bytes = b""  # IPv4 options (multiple of 4) or an IPv6 destination options header (multiple of 8)
    vlan: int | None = None
    # Filled by parse().
    errors: tuple[str, ...] = ()
    at: float = 0.0

    @property
    def space(self) -> int:
        """Sequence numbers this segment takes."""
        return len(self.data) + bool(self.flags & SYN) + bool(self.flags & FIN)

    def tcp(self) -> bytes:
        opts = self.opts.pack()
        head = struct.pack("!HHIIBBHHH", self.sport, self.dport, self.seq & 0xFFFFFFFF, self.ack & 0xFFFFFFFF,
                           (20 + len(opts)) // 4 << 4, self.flags, self.win, 0, self.urg) + opts
        sum_ = 0xFFFF ^ csum(head + self.data, _pseudo(self.family, self.src, self.dst, len(head) + len(self.data)))
        if self.bad_tcp_csum:
            sum_ ^= 0x5555
        return head[:16] + struct.pack("!H", sum_) + head[18:] + self.data

    def frames(self, fragment: int | None = None) -> list[bytes]:
        """The Ethernet frame, or with `fragment` two: IP payload split at that many bytes (multiple of 8)."""
        tcp = self.tcp()
        if fragment is None:
            return [self._eth(self._ip(tcp, None))]
        return [self._eth(self._ip(tcp[:fragment], (0, True))), self._eth(self._ip(tcp[fragment:], (fragment, False)))]

    def _ip(self, payload: bytes, frag: tuple[int, bool] | None) -> bytes:
        if self.family == socket.AF_INET:
            ihl = 20 + len(self.ip_options)
            off = 0x4000 if frag is None else frag[0] // 8 | (0x2000 if frag[1] else 0)
            head = struct.pack("!BBHHHBBH4s4s", 0x40 | ihl // 4, 0, ihl + len(payload), self.seq & 0xFFFF, off, 64,
                               6, 0, socket.inet_aton(self.src), socket.inet_aton(self.dst)) + self.ip_options
            sum_ = 0xFFFF ^ csum(head)
            if self.bad_ip_csum:
                sum_ ^= 0x5555
            return head[:10] + struct.pack("!H", sum_) + head[12:] + payload
        nxt, ext = 6, b""
        if frag is not None:
            ext = struct.pack("!BBHI", nxt, 0, frag[0] | frag[1], self.seq & 0xFFFFFFFF)
            nxt = 44
        if self.ip_options:
            ext = struct.pack("!BB", nxt, len(self.ip_options) // 8 - 1) + self.ip_options[2:] + ext
            nxt = 60
        return struct.pack("!IHBB16s16s", 6 << 28, len(ext) + len(payload), nxt, 64,
                           socket.inet_pton(socket.AF_INET6, self.src),
                           socket.inet_pton(socket.AF_INET6, self.dst)) + ext + payload

    def _eth(self, ip: bytes) -> bytes:
        tag = struct.pack("!HH", ETH_VLAN, self.vlan) if self.vlan is not None else b""
        kind = ETH_IP4 if self.family == socket.AF_INET else ETH_IP6
        return mac_bytes(self.dst_mac) + mac_bytes(self.src_mac) + tag + struct.pack("!H", kind) + ip

    def __str__(self) -> str:
        o = self.opts
        extra = "".join(
            f" {name}" for name, on in (
                (f"mss={o.mss}", o.mss is not None), (f"ws={o.wscale}", o.wscale is not None), ("sackok", o.sack_ok),
                (f"ts={o.ts}", o.ts is not None), (f"sack={o.sack}", bool(o.sack)),
                (f"BAD:{','.join(self.errors)}", bool(self.errors))) if on)
        return (f"{flag_text(self.flags)} seq={self.seq} ack={self.ack} len={len(self.data)} win={self.win}{extra}")


def _pseudo(family: int, src: str, dst: str, length: int) -> int:
    a, b = socket.inet_pton(family, src), socket.inet_pton(family, dst)
    return csum(a + b + struct.pack("!IHH", length, 0, 6))


def parse(frame: bytes) -> Segment | None:
    """The TCP segment in a frame; None if there is none. Wrong checksums and lengths are named in `errors`."""
    if len(frame) < 14:
        return None
    (kind,) = struct.unpack_from("!H", frame, 12)
    ip = frame[14:]
    errors: list[str] = []
    if kind == ETH_IP4 and len(ip) >= 20 and ip[9] == 6:
        ihl, (total,) = (ip[0] & 15) * 4, struct.unpack_from("!H", ip, 2)
        if csum(ip[:ihl]) != 0xFFFF:
            errors.append("IP checksum")
        family, src, dst = socket.AF_INET, socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
        if struct.unpack_from("!H", ip, 6)[0] & 0x3FFF:
            errors.append("fragment")
        tcp = ip[ihl:total]
    elif kind == ETH_IP6 and len(ip) >= 40 and ip[6] == 6:
        (length,) = struct.unpack_from("!H", ip, 4)
        total = 40 + length
        family = socket.AF_INET6
        src, dst = socket.inet_ntop(family, ip[8:24]), socket.inet_ntop(family, ip[24:40])
        tcp = ip[40:total]
    else:
        return None
    if len(ip) < total:
        errors.append("cut short")
    if len(tcp) < 20:
        return None
    sport, dport, seq, ack, off, flags, win, _, urg = struct.unpack_from("!HHIIBBHHH", tcp)
    if csum(tcp, _pseudo(family, src, dst, len(tcp))) != 0xFFFF:
        errors.append("TCP checksum")
    try:
        opts = Options.parse(tcp[20:(off >> 4) * 4])
    except ValueError as e:
        opts = Options()
        errors.append(str(e))
    return Segment(family, src, dst, sport, dport, seq, ack, flags, win, opts, tcp[(off >> 4) * 4:], urg,
                   src_mac=frame[6:12].hex(":"), dst_mac=frame[:6].hex(":"), errors=tuple(errors))


class Wire:
    """An AF_PACKET socket on one interface of a namespace: sends frames, receives what comes in."""

    def __init__(self, ns: net.Namespace, ifname: str):
        self.sock = ns.call(self._open, ifname)

    @staticmethod
    def _open(ifname: str) -> socket.socket:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        s.bind((ifname, ETH_ALL))
        s.setblocking(False)
        return s

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, seg: Segment, fragment: int | None = None) -> None:
        for frame in seg.frames(fragment):
            self.sock.send(frame)

    def receive(self) -> list[Segment]:
        """Every TCP segment that has come in so far."""
        out = []
        while True:
            try:
                frame, notes, _, addr = self.sock.recvmsg(65536, 64)
            except BlockingIOError:
                return out
            if addr[2] == PACKET_OUTGOING:
                continue
            seg = parse(frame)
            if seg:
                seg.vlan = self._vlan(notes)
                out.append(seg)

    @staticmethod
    def _vlan(notes) -> int | None:
        """The VLAN id that the kernel took out of the frame before we saw it."""
        for level, kind, data in notes:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci = struct.unpack_from("=IIIHHH", data)
                return tci & 0xFFF if status & TP_STATUS_VLAN_VALID else None
        return None

    def close(self) -> None:
        self.sock.close()
