# SPDX-License-Identifier: GPL-2.0
"""As much of a WebSocket client (RFC 6455) as the tests need."""
import base64
import hashlib
import os
import struct

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    def __init__(self, weir, target):
        self.sock = weir.connect().sock
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(f"GET {target} HTTP/1.1\r\nHost: chat.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.sock.makefile("rb")
        status = self.file.readline()
        assert status.startswith(b"HTTP/1.1 101 "), status
        fields = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, value = line.decode().split(":", 1)
            fields[name.lower()] = value.strip()
        expected = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert fields["sec-websocket-accept"] == expected and fields["upgrade"].lower() == "websocket"

    def send(self, data, kind=None):
        kind = kind or (TEXT if isinstance(data, str) else BINARY)
        data = data.encode() if isinstance(data, str) else data
        mask, n = os.urandom(4), len(data)
        head = bytes([0x80 | kind, 0x80 | (n if n < 126 else 126 if n < 65536 else 127)])
        head += b"" if n < 126 else struct.pack(">H", n) if n < 65536 else struct.pack(">Q", n)
        pad = (mask * (n // 4 + 1))[:n]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")
        self.sock.sendall(head + mask + masked)

    def receive(self):
        """(kind, data) of the next frame."""
        first, n = self.file.read(2)
        if n == 126:
            n, = struct.unpack(">H", self.file.read(2))
        elif n == 127:
            n, = struct.unpack(">Q", self.file.read(8))
        return first & 15, self.file.read(n)

    def close(self):
        self.file.close()
        self.sock.close()
