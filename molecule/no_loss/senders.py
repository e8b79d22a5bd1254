# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that hand numbered messages to a cluster of relays at a steady rate, as the cluster's own mail servers would.

Each message is for a mailbox on one node and is handed to another one, so that it takes a second hop. A node that refuses
the connection, answers 4xx or breaks off is passed over for the next one, until one has said 250 after the final dot; then
alone the number counts as accepted. Clients show a certificate of the fleet's CA, verify what they are shown, and go on
unverified where that fails, as at a lenient server.

Reads from standard input what the cluster is going through, a line for each phase, and answers with the count of messages
accepted so far. At the end of the input it stops and writes what became of each number as JSON.
"""

import argparse
import itertools
import json
import math
import smtplib
import socket
import ssl
import sys
import threading
import time

CLIENTS = 6
LIFETIME = 3
"""Seconds that a client keeps a connection."""
PATIENCE = 3
"""Seconds within which a node must greet a client, or the client goes on to the next node. Where a reload of Postfix meets
a new connection, master(8) may believe that a server waits for more while it has a session, and until that session ends nobody
is greeted (master_status_cleanup closes the pipe that the server reports to). A client that waited on and on, with that very
session open, would make two nodes wait for each other."""
PAUSE = 0.5
"""Seconds before a message that nobody takes is offered again."""
SENDER = "load@load.test"


class Client(smtplib.SMTP):
    """Knows the addresses of nodes, which have names in no DNS."""

    addresses = {}

    def _get_socket(self, host, port, timeout):
        return socket.create_connection((self.addresses[host], port), timeout)


class Refused(Exception):
    """A reply that is not what a client hopes for."""


class Connection:
    """A session with one node, and how far its certificate was trusted."""

    def __init__(self, node, options):
        self.node = node
        self.until = time.monotonic() + LIFETIME
        self.in_doubt = False
        try:
            self.trust, self.smtp = "verified", self._open(options, ssl.CERT_REQUIRED)
        except ssl.SSLCertVerificationError:
            self.trust, self.smtp = "unverified", self._open(options, ssl.CERT_NONE)

    def _open(self, options, verify):
        context = ssl.create_default_context(cafile=options.ca)
        context.check_hostname = verify is ssl.CERT_REQUIRED
        context.verify_mode = verify
        context.load_cert_chain(options.certificate)
        smtp = Client(self.node, 25, local_hostname="load.test", timeout=PATIENCE)
        smtp.sock.settimeout(60)
        smtp.starttls(context=context)
        smtp.ehlo()
        return smtp

    def send(self, recipient, text):
        expect(250, self.smtp.mail(SENDER))
        expect(250, self.smtp.rcpt(recipient))
        expect(354, self.smtp.docmd("DATA"))
        self.in_doubt = True  # from the final dot to the answer, the client does not know (RFC 5321 section 4.5.3.2.6)
        self.smtp.send(text.replace("\n", "\r\n") + ".\r\n")
        answer = self.smtp.getreply()
        self.in_doubt = False
        expect(250, answer)

    def leave(self):
        """QUIT: closing at once could take the answer to the last message with it."""
        try:
            self.smtp.quit()
        except (OSError, smtplib.SMTPException):
            self.smtp.close()


def expect(code, reply):
    if reply[0] != code:
        raise Refused(f"{reply[0]} {reply[1].decode()}")


def leave(open_connections, now):
    """Close those whose time is over: an idle one would keep a node that is drained from its rest."""
    for node, connection in list(open_connections.items()):
        if connection.until <= now:
            open_connections.pop(node).leave()


class Senders:
    def __init__(self, options):
        self.options = options
        self.nodes = list(Client.addresses)
        self.phase = ""
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.begin = 0.0
        self.taken = 0
        self.accepted = {}
        self.passed_over = 0
        self.in_doubt = []
        self.given_up = []

    def numbers(self):
        """What is to be sent next, when it is time to."""
        while not self.ended.is_set():
            with self.lock:
                number, self.taken = self.taken, self.taken + 1
            time.sleep(max(0, self.begin + number / self.options.rate - time.monotonic()))
            yield number

    def work(self):
        open_connections = {}
        for number in self.numbers():
            self.deliver(number, open_connections)
        leave(open_connections, math.inf)

    def deliver(self, number, open_connections):
        where = number % len(self.nodes)
        others = self.nodes[where + 1 :] + self.nodes[:where]
        if number // len(self.nodes) % 2:
            others.reverse()
        for tries, node in enumerate(itertools.cycle(others), 1):
            leave(open_connections, time.monotonic())
            if self.offer(number, self.nodes[where], node, open_connections):
                return
            if tries % len(others) == 0:
                time.sleep(PAUSE)

    def offer(self, number, where, node, open_connections):
        """Whether the node has taken the message, or has refused it for good."""
        connection = None
        try:
            connection = open_connections.pop(node, None) or Connection(node, self.options)
            connection.send(f"probe@{where}", f"Message-ID: <{number}@load.test>\nSubject: {number}\n\nload\n")
        except (OSError, smtplib.SMTPException, Refused) as problem:
            return self.pass_over(number, node, connection, problem)
        self.accepted[number] = (self.phase, node, connection.trust)
        open_connections[node] = connection
        return True

    def pass_over(self, number, node, connection, problem):
        what = (number, node, self.phase, str(problem))
        with self.lock:
            self.passed_over += 1
        if connection and connection.in_doubt:
            self.in_doubt.append(what)
        if connection:
            connection.leave()
        for_good = isinstance(problem, Refused) and str(problem).startswith("5")
        if for_good:
            self.given_up.append(what)
        return for_good

    def run(self):
        self.phase = sys.stdin.readline().strip()
        self.begin = time.monotonic()
        threads = [threading.Thread(target=self.work) for _each in range(CLIENTS)]
        for thread in threads:
            thread.start()
        print(0, flush=True)
        for line in sys.stdin:
            self.phase = line.strip()
            print(len(self.accepted), flush=True)
        self.ended.set()
        for thread in threads:
            thread.join()
        return {
            "accepted": self.accepted,
            "passed_over": self.passed_over,
            "in_doubt": self.in_doubt,
            "given_up": self.given_up,
        }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, help="messages a second")
    parser.add_argument("--certificate", help="key and certificate of the clients")
    parser.add_argument("--ca", help="whose certificates are trusted")
    parser.add_argument("nodes", nargs="+", help="NAME=ADDRESS")
    options = parser.parse_args()
    Client.addresses = dict(node.split("=") for node in options.nodes)
    print(json.dumps(Senders(options).run()))


main()
