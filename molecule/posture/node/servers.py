# SPDX-License-Identifier: GPL-3.0-or-later
"""SMTP servers on every address of the node and one port. How they all behave is set before each message."""

import socketserver
import ssl
import threading

FIXED = {"spare.test": "no STARTTLS", "second.test": "good"}
"""Servers that behave so whatever the others do."""
PROTOCOLS = {
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class Servers(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, port, hosts, contexts):
        self.hosts = {address: name for name, address in hosts.items()}
        self.contexts = contexts
        self.behaviour = "good"
        self.received = []
        """(server, TLS version or None) of each message."""
        super().__init__(("0.0.0.0", port), Session)  # noqa: S104 -- every address is a server of its own
        threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    def behave(self, behaviour):
        self.behaviour = behaviour
        self.received.clear()

    def context(self, host):
        """How this server does TLS now; nothing where it does not."""
        return self.contexts.get((FIXED.get(host, self.behaviour), host))

    def handle_error(self, request, client_address):
        """A client has gone, or would not have the certificate: the log of Postfix tells more of it."""


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(20)
        self.host = self.server.hosts.get(self.request.getsockname()[0], "nobody")
        self.version = None
        self.lines = self.request.makefile("rb")
        self.say(f"220 {self.host} ESMTP")
        while line := self.lines.readline():
            verb = line.strip().upper().partition(b" ")[0].decode()
            if not getattr(self, f"do_{verb.lower()}", self.do_anything)():
                return

    def say(self, reply):
        self.request.sendall(f"{reply}\r\n".encode())
        return True

    def do_anything(self):
        return self.say("250 2.0.0 Ok")

    def do_ehlo(self):
        offers = self.server.context(self.host) and not self.version
        return self.say(f"250-{self.host}\r\n250 {'STARTTLS' if offers else '8BITMIME'}")

    do_lhlo = do_ehlo

    def do_starttls(self):
        self.say("220 2.0.0 Ready to start TLS")
        self.request = self.server.context(self.host).wrap_socket(self.request, server_side=True)
        self.lines = self.request.makefile("rb")
        self.version = self.request.version()
        return True

    def do_data(self):
        self.say("354 Go on")
        while (line := self.lines.readline()) and line != b".\r\n":
            pass
        if not line:
            return False
        self.server.received.append((self.host, self.version))
        return self.say("250 2.0.0 Ok")

    def do_quit(self):
        self.say("221 2.0.0 Bye")


def context(chain, most):
    """A server's side of TLS: from version 1 to the newest that it knows, with a chain from a file."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = PROTOCOLS[most]
    made.load_cert_chain(chain)
    return made
