# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of a server changes while a sender with DANE writes to it: no message waits at any step."""

import uuid

import peers
import pytest
import sender as relay
from mail import NODES, wait_for
from on_node import begin_anew, sh
from sender import NODE, Sent, message
from tasks import cert, refused

testinfra_hosts = ["local://"]
SERVER = "node3"
DOMAIN = f"rollover.{peers.ZONE}"
HOST = f"mx.{DOMAIN}"
KEYS = {"name": "rollover", "provider": "self_signed", "self_signed": {"key_type": "ecdsa"}, "use": ["server"]}


@pytest.fixture
def server(sender):
    """A node of the fleet that takes mail for the domain, and a record at the sender that lets nothing pass unverified."""
    begin_anew(SERVER)
    settings = f"relay_domains={DOMAIN} relay_transport=discard: smtpd_tls_security_level=may"
    sh(SERVER, f"postconf -e {settings} && postfix reload")
    relay.keep([{"name": DOMAIN, "level": "dane-only"}])
    yield sender
    begin_anew(SERVER)
    peers.publish(sender)


def publish(sender, records):
    """What DNS answers from now on; no cache remembers anything else."""
    lines = [f"{DOMAIN}. MX 10 {HOST}.", f"{HOST}. A {NODES[SERVER]}"]
    peers.publish(sender, *lines, *[f"_25._tcp.{HOST}. TLSA {record}" for record in records])
    sh(NODE, "systemctl restart unbound")
    wait_for(lambda: sh(NODE, f"getent ahostsv4 {HOST}", check=False))  # a message before that would be deferred


def outcome():
    """What becomes of a message now, and why where it waits."""
    to = f"{uuid.uuid4().hex}@{DOMAIN}"
    sent = Sent({to: message(to)})
    tries = sent.attempts()[to]
    sent.discard()
    return [attempt.reason if attempt.outcome == "deferred" else attempt.outcome for attempt in tries]


def test_a_key_changes_while_a_sender_with_dane_writes(server):
    old = cert(SERVER, **KEYS)["certificate"]["tlsa"]
    publish(server, old)
    assert outcome() == ["verified"]
    new = cert(SERVER, **KEYS, published_tlsa=old, renew_now=True)["next"]["tlsa"]
    assert outcome() == ["verified"], "the new key is made, and not served"
    assert "no record matches the certificate that is served" in refused(
        SERVER, **KEYS, published_tlsa=["3 1 1 " + "AB" * 32]
    )
    publish(server, [*old, *new])
    assert outcome() == ["verified"], "both records are there, and the old key is served"
    done = cert(SERVER, **KEYS, published_tlsa=[*old, *new])
    assert (done["awaits"], done["next"], done["certificate"]["tlsa"]) == (None, None, new)
    assert outcome() == ["verified"], "the new key is served"
    publish(server, new)
    assert outcome() == ["verified"], "the old record is gone"
