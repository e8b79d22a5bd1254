# SPDX-License-Identifier: GPL-3.0-or-later
"""An SMTP server that offers STARTTLS and hangs up as soon as the client begins the handshake."""

import socketserver
import sys


class Session(socketserver.StreamRequestHandler):
    timeout = 60

    def handle(self):
        self.say("220 breaks-off ESMTP")
        for line in self.rfile:
            command = line.split()[0].upper().decode() if line.strip() else ""
            if command == "STARTTLS":
                self.say("220 2.0.0 Ready to start TLS")
                self.request.recv(65536)  # the ClientHello has come
                return
            self.answer(command)
            if command == "QUIT":
                return

    def answer(self, command):
        if command == "EHLO":
            self.say("250-breaks-off\r\n250 STARTTLS")
        elif command == "DATA":
            self.say("354 Go on")
            for line in self.rfile:
                if line == b".\r\n":
                    break
            self.say("250 2.0.0 Ok")
        else:
            self.say("221 2.0.0 Bye" if command == "QUIT" else "250 2.0.0 Ok")

    def say(self, reply):
        self.wfile.write(f"{reply}\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server((sys.argv[1], 25), Session) as server:
        server.serve_forever()
