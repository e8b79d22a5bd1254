# SPDX-License-Identifier: GPL-3.0-or-later
"""An SMTP client that sends the bytes it is told to, whatever they are. Runs beside the lab."""

import socket
import ssl
import struct

from mail import NODES, probe

SENDER = b"<abuse@elsewhere.test>"
UNKNOWN = {"500", "502"}
"""To a command that it does not know, Postfix answers 502 before 3.6."""


def message(subject, body=b"hello"):
    return b"Subject: %s\r\n\r\n%s" % (subject.encode(), body)


def codes(replies):
    return [reply[:3] for reply in replies]


class Client:
    """One connection to a node. A reply is its text, of which the last line counts; empty where the node has hung up.
    ``header`` is what a proxy would say first."""

    def __init__(self, node, greeted=True, port=25, header=b""):
        self.recipient = f"<{probe(node)}>".encode()
        self.socket = socket.create_connection((NODES[node], port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a segment for each send
        self._read = self.socket.makefile("rb")
        self.send(header)
        if greeted:
            self.reply()
            self.ask(b"EHLO client.elsewhere.test")

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def send(self, data):
        """As much of it as the node takes: one that has hung up takes none."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def reply(self):
        text = b""
        try:
            while line := self._read.readline():
                text += line
                if line[3:4] != b"-":
                    break
        except (ConnectionError, ssl.SSLError):
            pass
        return text.decode("latin-1").strip()

    def replies(self):
        """All that come until the node hangs up."""
        return list(iter(self.reply, ""))

    def ask(self, *lines):
        """The reply to the last of these commands; the others are answered before."""
        reply = ""
        for line in lines:
            self.send(line + b"\r\n")
            reply = self.reply()
        return reply

    def envelope(self):
        return (b"MAIL FROM:" + SENDER, b"RCPT TO:" + self.recipient)

    def data(self, content):
        """The reply to a whole message by DATA, in an envelope that is accepted."""
        reply = self.ask(*self.envelope(), b"DATA")
        assert reply.startswith("354"), reply
        return self.ask(content + b"\r\n.")

    def start_tls(self, **options):
        """Whether TLS is on now."""
        self.ask(b"STARTTLS")
        return self.shake_hands(**options)

    def shake_hands(self, name=None, versions=(None, None)):
        try:
            self.socket = unverified(*versions).wrap_socket(self.socket, server_hostname=name)
        except OSError:
            return False
        self._read = self.socket.makefile("rb")
        return True

    def close(self):
        self._read.close()
        self.socket.close()

    def reset(self):
        """Gone, with an RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def unverified(lowest=None, highest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if lowest:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = lowest, highest
    return context


def client_hello(name=None):
    """The first bytes of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        unverified().wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()
