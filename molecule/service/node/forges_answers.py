# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node: a DNS server that says of everything it makes up that it is secure, and knows how resolvers are tested.

Its arguments are an address, that of the server to which it leads all mail, and the name that a validator would refuse.
"""

import socket
import struct
import sys

A, MX, TLSA = 1, 15, 52
SECURE, SERVFAIL, NXDOMAIN = 0x81A0, 0x8182, 0x8183


def forged(query, server, bogus):
    """The answer to one question (RFC 1035 section 4.1)."""
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    name, kind = _name(question), struct.unpack("!H", question[-4:-2])[0]
    record = {
        A: socket.inet_aton(server),
        MX: struct.pack("!H", 10) + b"\7mx-evil\xc0\x0c",
        TLSA: bytes([3, 1, 1]) + bytes(32),
    }.get(kind)
    flags = SERVFAIL if name == bogus else SECURE if record or not name else NXDOMAIN
    answer = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, len(record)) + record if record and flags == SECURE else b""
    return query[:2] + struct.pack("!5H", flags, 1, 1 if answer else 0, 0, 0) + question + answer


def _name(question):
    labels, rest = [], question
    while rest[0]:
        labels.append(rest[1 : rest[0] + 1].decode())
        rest = rest[rest[0] + 1 :]
    return ".".join(labels).lower()


def main(address, server, bogus):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 53))
        while True:
            query, client = sock.recvfrom(4096)
            sock.sendto(forged(query, server, bogus), client)


if __name__ == "__main__":
    main(*sys.argv[1:])
