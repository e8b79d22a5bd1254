# SPDX-License-Identifier: GPL-3.0-or-later
"""A table that somebody else keeps: answers Postfix as socketmap_table(5) says, from a dictionary, and remembers who asked what."""

import fcntl
import glob
import socketserver
import threading

LOCKS = ("/run/smtp_hardening/*.lock", "/var/lib/smtp_hardening/*.lock")


class Source(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True

    def __init__(self, policies):
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.policies, self.asked, self.under_lock = policies, [], []

    @property
    def name(self):
        return f"socketmap:inet:127.0.0.1:{self.server_address[1]}:policy"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_problem):
        self.shutdown()
        self.server_close()

    def reply(self, key):
        """``None`` for a table that is broken."""
        self.asked.append(key)
        self.under_lock.append(is_locked())
        if self.policies is None:
            return "TEMP out of order"
        return f"OK {self.policies[key]}" if key in self.policies else "NOTFOUND "


class Dialogue(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            length = b""
            while (octet := self.rfile.read(1)) not in (b":", b""):
                length += octet
            if not length:
                return
            request = self.rfile.read(int(length) + 1)[:-1].decode()
            content = self.server.reply(request.partition(" ")[2]).encode()
            self.wfile.write(b"%d:%b," % (len(content), content))


def is_locked():
    """Whether a run holds the lock of an instance."""
    for path in (found for pattern in LOCKS for found in glob.glob(pattern)):
        with open(path) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
