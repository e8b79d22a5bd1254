# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent of the fleet that hardly rests: TLS handshakes with its neighbours, verified both ways, and mail to them.

Runs on a node until its standard input ends; what it did comes out as JSON. With C(--mail) alone it only writes mail. It shows and trusts whatever
the node's Postfix is told to show and trust at that moment, and is no part of the collection.
"""

import json
import smtplib
import ssl
import subprocess
import sys
import threading
import time

CHAIN, TRUST = "smtp_tls_chain_files", "smtp_tls_CAfile"


def told():
    """The client's certificate and CAs, as main.cf names them now."""
    done = subprocess.run(["postconf", "-x", CHAIN, TRUST], stdout=subprocess.PIPE, text=True, check=True)
    values = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
    return values[CHAIN], values[TRUST]


def handshake(neighbour):
    chain, trust = told()
    context = ssl.create_default_context(cafile=trust)
    context.load_cert_chain(chain)
    with smtplib.SMTP(neighbour, 25, timeout=20) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo_or_helo_if_needed()
        code, _text = smtp.mail("")
        assert code == 250, code
        return ssl.DER_cert_to_PEM_cert(smtp.sock.getpeercert(binary_form=True))


def shake_hands(neighbour, ended, seen):
    while not ended.is_set():
        try:
            seen["certificates"].add(handshake(neighbour))
        except (OSError, smtplib.SMTPException, AssertionError) as problem:
            seen["trouble"].append(f"{neighbour}: {problem!r}")
        seen["handshakes"] += 1
        time.sleep(0.2)  # the nodes have other work to do


def write_mail(own, neighbours, ended, sent, pause):
    """Numbered messages into the node's own queue, one at a time."""
    while not ended.is_set():
        for neighbour in neighbours:
            number = f"{own}.{len(sent)}"
            message = f"Message-ID: <{number}@load.test>\nSubject: {number}\n\nload\n"
            argv = ["/usr/sbin/sendmail", "-f", f"load@{own}", f"probe@{neighbour}"]
            subprocess.run(argv, input=message, text=True, check=True)
            sent.append(number)
        time.sleep(pause)


def main(mail_alone, own, *neighbours):
    ended, sent = threading.Event(), []
    seen = [{"handshakes": 0, "certificates": set(), "trouble": []} for _each in neighbours]
    threads = [threading.Thread(target=write_mail, args=(own, neighbours, ended, sent, 1 if mail_alone else 0.2))]
    threads += [
        threading.Thread(target=shake_hands, args=(neighbour, ended, count))
        for neighbour, count in zip(neighbours, seen)
        if not mail_alone
    ]
    for thread in threads:
        thread.start()
    print("running", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    result = {
        "handshakes": sum(count["handshakes"] for count in seen),
        "trouble": [line for count in seen for line in count["trouble"]],
        "certificates": [len(count["certificates"]) for count in seen],
        "sent": sent,
    }
    print(json.dumps(result))


main("--mail" in sys.argv, *(word for word in sys.argv[1:] if word != "--mail"))
