# SPDX-License-Identifier: GPL-2.0
"""A FastCGI application without a library, one connection at a time, on standard input as FastCGI 2.2 has it.

It answers with its parameters as JSON; paths make it misbehave: /garbage /silent /cut /split /overloaded.
"""
import json
import os
import socket
import struct
import sys

connections = 0


def record(kind, data, padding=0):
    return struct.pack(">BBHHBB", 1, kind, 1, len(data), padding, 0) + data + bytes(padding)


def read_exactly(file, size):
    data = file.read(size)
    if len(data) != size:
        raise EOFError
    return data


def length(data, at):
    if data[at] < 128:
        return data[at], at + 1
    return struct.unpack_from(">I", data, at)[0] & 0x7FFFFFFF, at + 4


def pairs(data):
    at, found = 0, {}
    while at < len(data):
        name, at = length(data, at)
        value, at = length(data, at)
        found[data[at:at + name].decode()] = data[at + name:at + name + value].decode()
        at += name + value
    return found


def read_request(file):
    params, body, keep = b"", 0, False
    while True:
        _, kind, _, size, padding, _ = struct.unpack(">BBHHBB", read_exactly(file, 8))
        data = read_exactly(file, size)
        read_exactly(file, padding)
        if kind == 1:
            keep = bool(data[2] & 1)
        elif kind == 4:
            params += data
        elif kind == 5 and size:
            body += size
        elif kind == 5:
            return pairs(params), body, keep


def answer(params, body):
    """The bytes of a response, or None for none."""
    path, end = params["PATH_INFO"], record(3, bytes(8), 3)
    if path == "/garbage":
        return b"HTTP/1.1 200 OK\r\n\r\nthis is another protocol"
    if path == "/overloaded":
        return record(3, b"\0\0\0\0\2\0\0\0")
    if path == "/silent":
        return record(7, b"I have nothing to say\nin two lines\n", 2) + end
    text = json.dumps(params | {"body": body, "connections": connections}).encode()
    head = b"Content-Type: application/json\nX-Note: \xe2\x82\xac\n\n"
    if path == "/cut":
        return record(6, b"Content-Length: 1000\n\nonly this") + end
    if path == "/split":
        return b"".join(record(6, bytes([byte]), byte % 8) + record(7, b".") for byte in head + text) + record(6, b"") + end
    return record(6, head + text, 5) + record(6, b"") + end


listener = socket.socket(fileno=0)
assert os.environ["LISTEN_FDS"] == "1"
print("ready", file=sys.stderr, flush=True)
while True:
    client, _ = listener.accept()
    connections += 1
    with client, client.makefile("rb") as stream:
        try:
            while True:
                request, count, keeps = read_request(stream)
                client.sendall(answer(request, count))
                if not keeps or request["PATH_INFO"] == "/garbage":
                    break
        except (EOFError, OSError):
            pass
