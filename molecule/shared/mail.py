# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail clients that this project did not write, as the scenarios' tests use them.

swaks and openssl s_client run beside the lab and connect to the nodes; posttls-finger and
sendmail run on the nodes.
"""

import re
import subprocess
import time
import uuid

import explain
from cryptography import x509
from fleet_lab import FLEET

NODES = FLEET.nodes
"""The address of each."""
DOMAIN = "fleet.test"


def fqdn(node):
    return f"{node}.{DOMAIN}"


def probe(node):
    return f"probe@{fqdn(node)}"


def swaks(node, *options):
    """One swaks conversation with a node; the completed process."""
    explain.used(node)
    from_ = ["--ehlo", "client.elsewhere.test", "--from", "somebody@elsewhere.test"]
    argv = ["swaks", "--server", NODES[node], "--to", probe(node), *from_, *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def s_client(node, *options):
    """One STARTTLS handshake by OpenSSL's client; the completed process."""
    explain.used(node)
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{NODES[node]}:25"]
    if not {"-servername", "-noservername"} & set(options):
        argv += ["-servername", fqdn(node)]
    return subprocess.run([*argv, *options], input="QUIT\r\n", capture_output=True, text=True, timeout=60, check=False)


def certificate(node):
    """The certificate that a node shows."""
    shown = s_client(node, "-showcerts").stdout
    pem = re.search("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", shown, re.S).group()
    return x509.load_pem_x509_certificate(pem.encode())


def wait_for(condition, seconds=30):
    """The first true value of ``condition``; fails where there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.2)


def send(host, recipient):
    """Hand a message to a node's own queue and return its queue ID."""
    mark = uuid.uuid4().hex
    message = f"Message-ID: <{mark}@test.invalid>\\nTo: {recipient}\\nSubject: test\\n\\ntest\\n"
    host.run_expect([0], f"printf '{message}' | /usr/sbin/sendmail -f probe@localhost {recipient}")
    line = wait_for(lambda: re.search(rf": (\w+): message-id=<{mark}@", log(host)))
    return line.group(1)


def log(host):
    return host.file("/var/log/mail.log").content_string


def fate(host, queue_id):
    """The log line with the status of a message."""
    return wait_for(lambda: re.search(rf"{queue_id}: to=.* status=.*", log(host))).group()
