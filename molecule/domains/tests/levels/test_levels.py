# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of mail at each level, toward each kind of peer: docs/levels.md says it, Postfix's log must agree."""

import re
import subprocess
import uuid
from typing import Any, Dict, NamedTuple, Set

import peers
import pytest
from documents import must_equal, read_table
from mail import wait_for
from on_node import sh
from peers import DANE, LEVELS, MAIN
from sender import BACKOFF, NODE, Sent, message, queue
from tasks import TOP, results

testinfra_hosts = ["local://"]
DOCUMENT = TOP / "docs" / "levels.md"
DANE_LEVELS = ("dane", "dane-only")
TLS_REQUIRED = ("encrypt", "dane-only", "fingerprint", "verify", "secure")
AUTHENTICATED = ("dane-only", "fingerprint", "verify", "secure")
PAIRS = [(host, level) for host in MAIN for level in LEVELS] + [(host, level) for host in DANE for level in DANE_LEVELS]


class Outcomes(NamedTuple):
    """What became of one message to each domain."""

    attempts: Dict[Any, list]
    """By host and level."""
    queued: Set[str]
    """The queue IDs in the queue when each message was delivered, or deferred at an age at which may gives up on TLS."""
    discarded: Set[str]
    log: str


@pytest.fixture(scope="module")
def outcomes(sender):
    mark = uuid.uuid4().hex
    sent = Sent({address(mark, *pair): message(address(mark, *pair)) for pair in PAIRS})
    found = sent.attempts(age=BACKOFF + 1)
    queued, log = set(queue()), sent.log()
    return Outcomes({pair: found[address(mark, *pair)] for pair in PAIRS}, queued, sent.discard(), log)


def address(mark, host, level):
    return f"{mark}@{host.domain(level)}"


def test_each_level_does_with_each_peer_what_the_document_says(outcomes):
    must_equal(measured(outcomes, "Peer", MAIN, LEVELS), read_table(DOCUMENT, "Peer"))


def test_dane_does_with_each_kind_of_record_what_the_document_says(outcomes):
    skip_below_3_10()
    must_equal(measured(outcomes, "TLSA records", DANE, DANE_LEVELS), read_table(DOCUMENT, "TLSA records"))


def test_mail_that_needs_tls_never_leaves_in_plaintext(outcomes):
    ways = {way for (_host, level), tries in outcomes.attempts.items() for way in seen(tries) if level in TLS_REQUIRED}
    assert ways == {"deferred", "trusted", "untrusted", "verified"}


def test_mail_that_needs_a_proven_server_leaves_only_to_one(outcomes):
    ways = {way for (_host, level), tries in outcomes.attempts.items() for way in seen(tries) if level in AUTHENTICATED}
    assert ways == {"deferred", "verified"}


def test_deferred_mail_stays_in_the_queue_and_delivered_mail_does_not(outcomes):
    last = {tries[-1].queue_id: tries[-1].outcome for tries in outcomes.attempts.values()}
    deferred = {queue_id for queue_id, outcome in last.items() if outcome == "deferred"}
    assert deferred == outcomes.queued & last.keys() == outcomes.discarded


def test_no_peer_has_got_mail_that_was_deferred_and_each_has_got_the_rest(outcomes):
    """The peers' own logs, apart from the one that is no Postfix and keeps none."""
    logged = {pair for pair in outcomes.attempts if not peers.BY_TITLE[pair[0].peer].program}
    delivered = {pair for pair in logged if outcomes.attempts[pair][-1].outcome != "deferred"}
    got = wait_for(lambda: delivered <= received(logged) and received(logged))
    assert got == delivered


def test_a_rehearsal_says_of_each_record_what_then_becomes_of_mail(outcomes):
    """At levels that could hold mail back; a peer that breaks a handshake off is left out at dane, where time decides."""
    probed = results(NODE, "smtp_tls_probe", {"targets": [], "rehearse": "all"})[NODE]
    told = {rehearsal["domain"]: rehearsal for rehearsal in probed["rehearsals"]}
    pairs = [(host, level) for host, level in outcomes.attempts if level not in ("none", "may")]
    wrong = [
        f"{level} {host.title}: {told[host.domain(level)]} but {text(outcomes.attempts[host, level])}"
        for host, level in pairs
        if told[host.domain(level)]["delivered"] != (outcomes.attempts[host, level][-1].outcome != "deferred")
    ]
    assert len(told) >= len(pairs) and not wrong, "\n".join(wrong)


REASONS = [
    ("secure", "expired", "Server certificate not verified", "certificate has expired"),
    ("secure", "wrong name", "Server certificate not verified", "hostname mismatch"),
    ("secure", "self-signed", "Server certificate not verified", "self-signed certificate"),
    ("secure", "unknown CA", "Server certificate not verified", "untrusted issuer"),
    ("encrypt", "no STARTTLS offered", "TLS is required, but was not offered", ""),
    ("encrypt", "STARTTLS answered 454", "refused to start TLS: 454", ""),
    ("may", "handshake broken off", "handshake failure", "SSL_connect error"),
    ("may", "TLS 1.1 only", "handshake failure", "alert protocol version"),
    ("fingerprint", "old pin", "Server certificate not verified", ""),
    ("dane", "TLSA mismatch", "Server certificate not verified", "no matching DANE TLSA records"),
    ("dane", "bogus DNSSEC", "TLSA lookup error", "DANE TLSA lookup problem"),
    ("dane-only", "valid", "no TLSA records found", ""),
    ("dane-only", "unusable: usage 0", "TLSA records unusable", "unsupported TLSA certificate usage"),
    ("dane-only", "unsigned zone", "non DNSSEC destination", ""),
]


@pytest.mark.parametrize(("level", "title", "reason", "logged"), REASONS)
def test_the_log_tells_why_mail_is_deferred(outcomes, level, title, reason, logged):
    skip_below_3_10()
    host = next(host for host in (*MAIN, *DANE) if host.title == title)
    assert reason in outcomes.attempts[host, level][0].reason
    assert logged in outcomes.log


def test_the_old_peer_speaks_tls_1_1_and_nothing_newer(sender):
    old = next(peer for peer in peers.PEERS if peer.title == "TLS 1.1 only")
    assert re.search(r"Protocol *: TLSv1\.1\n", handshake(old, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0").stdout)
    assert handshake(old, "-cipher", "DEFAULT@SECLEVEL=0", "-min_protocol", "TLSv1.2").returncode != 0
    assert handshake(old).returncode != 0, "as clients are by default"


def handshake(peer, *options):
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{peer.address}:25", *options]
    return subprocess.run(argv, input="QUIT\r\n", capture_output=True, text=True, timeout=60, check=False)


def skip_below_3_10():
    if [int(part) for part in sh(NODE, "postconf -h mail_version").split(".")[:2]] < [3, 10]:
        pytest.skip("older versions of Postfix log this in other words")


# Tables.


def measured(outcomes, corner, hosts, levels):
    rows = [[host.title, *(text(outcomes.attempts[host, level]) for level in levels)] for host in hosts]
    return [[corner, *levels], *rows]


def text(tries):
    """One cell of the tables."""
    return ", then ".join(seen(tries))


def seen(tries):
    """The outcomes in their order, a repeated one once."""
    return list(dict.fromkeys(attempt.outcome for attempt in tries))


def received(pairs):
    """Those of the pairs whose mail a peer has taken, by the log that all peers share."""
    log = sh(peers.NODE, "cat /var/log/peers.log")
    domains = set(re.findall(r": to=<[^@]+@([^>]+)>.* status=sent", log))
    return {(host, level) for host, level in pairs if host.domain(level) in domains}
