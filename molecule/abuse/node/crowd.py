# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients of one relay at once, from several addresses of this host, which are its own for that time.

Clients either deliver a message each, or sit there and say nothing until the input ends. Each line of output is what
one of them was told: JSON with its name and a reply.
"""

import json
import smtplib
import socket
import subprocess
import sys
import threading

LOCK = threading.Lock()


def tell(name, reply):
    with LOCK:
        print(json.dumps({"name": name, "reply": reply}), flush=True)


def deliver(name, source, request, ready, _ended):
    """One message with the client's name as its subject, sent when all clients are there."""
    ready.wait()
    try:
        with smtplib.SMTP(source_address=(source, 0), timeout=120) as client:
            client.connect(request["server"], 25)
            client.sendmail("crowd@elsewhere.test", [request["recipient"]], f"Subject: {name}\r\n\r\nhello\r\n")
        tell(name, "250")
    except (OSError, smtplib.SMTPException) as problem:
        tell(name, repr(problem))


def sit(name, source, request, ready, ended):
    ready.wait()
    try:
        with socket.create_connection((request["server"], 25), 120, (source, 0)) as client:
            ended.append(client)
            for line in client.makefile("r", encoding="latin-1"):
                tell(name, line.strip())
    except OSError as problem:
        tell(name, repr(problem))


def leave(client):
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the relay was faster


def device():
    words = subprocess.run(
        ["ip", "route", "show", "default"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    return words[words.index("dev") + 1]


def main(request):
    argv = [["ip", "address", verb, f"{{}}/{request['prefix']}", "dev", device()] for verb in ("replace", "delete")]
    for source in request["sources"]:
        subprocess.run([word.format(source) for word in argv[0]], check=True)
    try:
        act = {"deliver": deliver, "sit": sit}[request["act"]]
        ready, clients = threading.Barrier(request["each"] * len(request["sources"])), []
        threads = [
            threading.Thread(target=act, args=(f"{request['name']} {source} {number}", source, request, ready, clients))
            for source in request["sources"]
            for number in range(request["each"])
        ]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        for client in clients:
            leave(client)
        for thread in threads:
            thread.join()
    finally:
        for source in request["sources"]:
            subprocess.run([word.format(source) for word in argv[1]], check=True)


main(json.loads(sys.argv[1]))
