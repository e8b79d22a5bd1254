# SPDX-License-Identifier: GPL-3.0-or-later
"""node1 as the relay that sends to the peers: how it is set up, and what its log says about each message."""

import json
import re
from typing import NamedTuple, Optional

import peers
import zones
from mail import wait_for
from on_node import begin_anew, sh
from tasks import relay, succeed

NODE = "node1"
FROM = "probe@node1.fleet.test"
LOG = "/var/log/mail.log"
CA_FILE = "/etc/postfix/peers-ca.pem"
BACKOFF = 5
"""Seconds. From this age on Postfix, which counts whole ones, goes without TLS at may where a handshake fails. Its queue
manager may try again a second before, so that the second attempt need not be the one."""
# As molecule/inventory has them, or for these tests alone.
SETTINGS = {
    "mydestination": ["$myhostname", "localhost"],
    "smtp_host_lookup": "dns",
    "smtp_connection_cache_on_demand": False,  # a connection for each message
    # What was deferred is tried again after seconds instead of minutes.
    "queue_run_delay": "2s",
    "minimal_backoff_time": f"{BACKOFF}s",
}
PROOF = {"signed": peers.ZONE, "bogus": peers.SPOILED}
"""What a resolver is asked to see whether it validates."""
CLIENT = {"level": "may", "minimum_protocol": "TLSv1.2", "ciphers": "medium", "exclude_ciphers": [], "match": []}
"""As the profile lenient_default, without its server."""
SEND = """
import json, subprocess, sys
for recipient, text in json.load(sys.stdin).items():
    subprocess.run(["/usr/sbin/sendmail", "-f", sys.argv[1], recipient], input=text, text=True, check=True)
"""


def set_up(fleet):
    """A record for each domain, all from one task."""
    zone = {"name": peers.ZONE, "servers": [zones.ADDRESS], "trust_anchors": [fleet.anchor]}
    resolver = {"relay_resolver": "unbound", "relay_resolver_zones": [zone], "relay_resolver_test": [peers.UNSIGNED]}
    begin_anew(NODE)
    sh(NODE, "test -e /root/resolv.conf || cp /etc/resolv.conf /root/resolv.conf")
    relay(NODE, relay_settings=SETTINGS, **resolver, relay_dnssec_test=PROOF)
    sh(NODE, f"cat > {CA_FILE}", fleet.authority.pem)
    _task("smtp_tls_mode", client={**CLIENT, "ca_file": CA_FILE})
    records = [fleet.record(host, level) for host in peers.HOSTS for level in peers.LEVELS]
    keep(records, exclusive=True)


def keep(records, **options):
    """Records of domains, whose zone is asked whether the resolver validates."""
    _task("smtp_domain_policy", domains=records, dnssec_test=PROOF, **options)


def bring_back():
    """The resolver that it had, and the configuration that scenarios begin with; what a failed test has left goes."""
    discard({queue_id for queue_id, recipients in queue().items() if f".{peers.ZONE}" in recipients})
    sh(NODE, "cat /root/resolv.conf > /etc/resolv.conf")
    begin_anew(NODE)


def _task(module, **options):
    succeed(NODE, module, **options, allow_weaker=True)


class Attempt(NamedTuple):
    """What the log says about one attempt to deliver a message."""

    queue_id: str
    outcome: str
    """The trust in the TLS connection in Postfix's word, or C(plaintext), or C(deferred)."""
    protocol: Optional[str]
    reason: str
    age: float


CONNECTED = re.compile(r"(\w+) TLS connection established to (\S+:\d+): (\S+)")
STATUS = re.compile(r"(\w+): to=<([^>]+)>, relay=([^,]+), .*?\bdelay=([\d.]+), .* status=(\w+) \((.*)\)$")


def read(text):
    """The attempts by recipient. A smtp process serves one message at a time, so that what it has reported since its last
    status about the server that the status names is the connection of that attempt."""
    found = {}
    connected = {}
    for process, line in re.findall(r"postfix/smtp\[(\d+)\]: (.*)", text):
        if tls := CONNECTED.match(line):
            trust, server, protocol = tls.groups()
            connected.setdefault(process, {})[server] = (trust, protocol)
        elif status := STATUS.match(line):
            queue_id, recipient, relay, age, word, reason = status.groups()
            trust, protocol = connected.pop(process, {}).get(relay, (None, None))
            outcome = {"sent": (trust or "plaintext").lower()}.get(word, word)
            found.setdefault(recipient, []).append(Attempt(queue_id, outcome, protocol, reason, float(age)))
    return found


class Sent:
    """Messages on their way, and the log from when the first was handed over."""

    def __init__(self, messages, sender=FROM):
        self.recipients = tuple(messages)
        self.begin = int(sh(NODE, f"stat -c %s {LOG}"))
        sh(NODE, f"python3 -c '{SEND}' {sender}", json.dumps(messages))

    def log(self):
        return sh(NODE, f"tail -c +{self.begin + 1} {LOG}")

    def attempts(self, age=0):
        """By recipient, as soon as each message is delivered and gone or was tried at that age in seconds."""

        def all_tried():
            log = self.log()
            found = read(log)
            return found if all(_settled(found.get(name, ()), age, log) for name in self.recipients) else None

        return wait_for(all_tried, 60)

    def discard(self):
        """Take what is still in the queue out of it; the queue IDs."""
        ours = {attempt.queue_id for tries in read(self.log()).values() for attempt in tries} & queue().keys()
        discard(ours)
        return ours


def _settled(tries, age, log):
    if tries and tries[-1].outcome != "deferred":
        return f"{tries[-1].queue_id}: removed" in log
    return any(attempt.age >= age for attempt in tries)


def queue():
    """The recipients by queue ID, listed twice: a message that is moved for its next attempt can be missed once."""
    found = map(json.loads, sh(NODE, "postqueue -j; postqueue -j").splitlines())
    return {entry["queue_id"]: " ".join(recipient["address"] for recipient in entry["recipients"]) for entry in found}


def discard(queue_ids):
    sh(NODE, "postsuper -d -", "".join(f"{queue_id}\n" for queue_id in queue_ids))


def message(recipient, text="test"):
    return f"From: {FROM}\nTo: {recipient}\nSubject: {text}\n\n{text}\n"
