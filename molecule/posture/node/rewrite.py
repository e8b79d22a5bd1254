# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a running trivial-rewrite(8) where mail goes next, as the queue manager does: names and values, each with a zero byte
behind it, and one more at the end (resolve_clnt.c and attr_print0.c of Postfix)."""

import socket


def resolve(queue, sender, recipient):
    """The transport and next hop for a recipient."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(f"{queue}/private/rewrite")
        asked = ("request", "resolve", "sender", sender, "address", recipient)
        connection.sendall(b"".join(word.encode() + b"\0" for word in asked) + b"\0")
        with connection.makefile("rb") as replies:
            while "transport" not in (found := _attributes(replies)):
                assert "protocol" in found, found  # how Postfix introduces itself since 3.6
        return found["transport"], found["nexthop"]


def _attributes(replies):
    """One list of attributes."""
    found = {}
    while name := _word(replies):
        found[name] = _word(replies)
    return found


def _word(replies):
    read = bytearray()
    while byte := replies.read(1):
        if byte == b"\0":
            return read.decode()
        read += byte
    raise EOFError(bytes(read))
