# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that means well: it sends numbered messages to one recipient, one after the other, until its input ends.

Every other one goes over TLS. Each line of output is the number of a message that was accepted, or what went wrong.
"""

import itertools
import smtplib
import ssl
import sys
import threading


def send(server, recipient, subject, over_tls):
    with smtplib.SMTP(server, 25, timeout=120) as client:
        if over_tls:
            client.starttls(context=unverified())
        client.sendmail("canary@elsewhere.test", [recipient], f"Subject: {subject}\r\n\r\nstill here\r\n")


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def main(server, recipient, name):
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    for number in itertools.count():
        if ended.wait(0.05):
            break
        try:
            send(server, recipient, f"{name} {number}", number % 2)
            print(number, flush=True)
        except (OSError, smtplib.SMTPException) as problem:
            print(f"message {number}: {problem!r}", flush=True)


main(*sys.argv[1:])
