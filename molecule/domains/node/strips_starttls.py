# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay of TCP in the middle, on the address in argument 1, which takes STARTTLS out of what the server in
argument 2 says to EHLO (RFC 3207 section 6)."""

import socket
import socketserver
import sys
import threading


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection((sys.argv[2], 25), timeout=60) as server:
            up = threading.Thread(target=relay, args=(self.request, server), daemon=True)
            up.start()
            relay(server, self.request, strip)
            up.join(timeout=60)


def relay(source, target, change=bytes):
    """Whole lines only, so that no word is cut in two."""
    pending = b""
    while data := source.recv(65536):
        whole, end, pending = (pending + data).rpartition(b"\n")
        target.sendall(change(whole + end))
    target.sendall(pending)
    target.shutdown(socket.SHUT_WR)


def strip(reply):
    return reply.replace(b"250-STARTTLS\r\n", b"")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server((sys.argv[1], 25), Session) as server:
        server.serve_forever()
