# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies on the relay's disk, for as long as its input lasts: an answer in JSON for each line of it.

Messages that are still on their way are waited for; what does not leave the queue within the time is "left".
"""

import fcntl
import json
import pathlib
import re
import subprocess
import sys
import time

MAILBOX = pathlib.Path("/var/mail/probe")
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt", "bounce", "defer", "trace", "flush")
SECONDS = 20


def queued(spool):
    """The files of the queue by name, which a message keeps while it moves. Twice, or one that moves could be missed."""
    listed = [path for _time in range(2) for queue in QUEUES for path in (spool / queue).rglob("*")]
    return {path.name: str(path) for path in listed if is_file(path)}


def is_file(path):
    try:
        return path.is_file()
    except OSError:
        return False


def left(spool):
    """Of what is queued now, what stays there."""
    watched = queued(spool)
    deadline = time.monotonic() + SECONDS
    while watched and time.monotonic() < deadline:
        time.sleep(0.02)
        now = queued(spool)
        watched = {name: path for name, path in watched.items() if name in now}
    return sorted(watched.values())


def arrived(offset):
    """The subjects of messages in the mailbox behind an offset, and its end. Postfix holds the same lock when it writes."""
    if not MAILBOX.exists():
        return [], 0
    with MAILBOX.open("r+b") as mailbox:
        fcntl.lockf(mailbox, fcntl.LOCK_EX)
        mailbox.seek(offset)
        content = mailbox.read()
        end = mailbox.tell()
    messages = re.split(rb"^From .*\n", content, flags=re.MULTILINE)[1:]
    return [subject(message.partition(b"\n\n")[0]) for message in messages], end


def subject(header):
    found = re.search(rb"^Subject: (.*)$", header, re.MULTILINE)
    return found.group(1).decode("latin-1") if found else ""


def connections():
    """How many clients are connected."""
    argv = ["ss", "-Htn", "state", "established", "sport", "=", ":25"]
    return len(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.splitlines())


def main():
    argv = ["postconf", "-hx", "queue_directory"]
    spool = pathlib.Path(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    offset = arrived(0)[1]
    for _line in sys.stdin:
        stays = left(spool)
        subjects, offset = arrived(offset)
        print(json.dumps({"left": stays, "subjects": subjects, "connections": connections()}), flush=True)


main()
