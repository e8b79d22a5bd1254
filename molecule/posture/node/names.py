# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's resolver: a DNS server that vouches for the names of one zone, as a validating resolver does (RFC 4035
section 3.2.3), and knows nothing else."""

import ipaddress
import socketserver
import struct
import threading

A, MX, TLSA = 1, 15, 52
OPT = 41
QUERY_DONE = 0x8180
"""A response, recursion desired and available."""
AUTHENTIC = 0x0020
NO_SUCH_NAME = 3


class Resolver(socketserver.ThreadingUDPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address, records, signed):
        self.records = {(name, kind): values for name, kind, values in records}
        self.names = {name for name, _kind in self.records}
        self.signed = signed
        super().__init__((address, 53), Query)
        threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()


class Query(socketserver.BaseRequestHandler):
    def handle(self):
        data, socket = self.request
        name, end = _name(data)
        kind = struct.unpack("!H", data[end : end + 2])[0]
        answers = [_record(kind, value) for value in self.server.records.get((name, kind), ())]
        flags = QUERY_DONE | (AUTHENTIC if f".{name}".endswith(f".{self.server.signed}") else 0)
        if not any(known == name or known.endswith(f".{name}") for known in self.server.names):
            flags |= NO_SUCH_NAME
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, 1)
        edns = struct.pack("!BHHIH", 0, OPT, 4096, 0x8000, 0)
        socket.sendto(head + data[12 : end + 4] + b"".join(answers) + edns, self.client_address)


def _name(data):
    """The name in a question, and where it ends (RFC 1035 section 4.1.2)."""
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode().lower())
        at += 1 + data[at]
    return ".".join(labels), at + 1


def _record(kind, value):
    """A resource record of the name that was asked for."""
    if kind == A:
        content = ipaddress.ip_address(value).packed
    elif kind == MX:
        content = struct.pack("!H", 10) + b"".join(_label(label) for label in value.split(".")) + b"\0"
    else:
        usage, selector, matching, digest = value.split()
        content = bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(digest)
    return struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(content)) + content


def _label(label):
    return bytes([len(label)]) + label.encode()
