# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domain
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.rehearsal import (
    Rehearsal,
    rehearse,
    report,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PINS
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

HOST = "mx.x.test[192.0.2.1]:25"
TLSA = "_25._tcp.mx.x.test"
TLS = f"{HOST}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
SILENT = "initializing the client-side TLS engine"
"""All that is said where no TLS session was made."""

VERIFIED, TRUSTED, UNTRUSTED, ANONYMOUS = (
    f"{trust} TLS connection established to {TLS}" for trust in ("Verified", "Trusted", "Untrusted", "Anonymous")
)
MISMATCH = f"server certificate verification failed for {HOST}: num=62:hostname mismatch"
HANDSHAKE = f"SSL_connect error to {HOST}: lost connection"
REFUSED = (
    "Failed to establish session to x.test via mx.x.test:25: connect to mx.x.test[192.0.2.1]:25: Connection refused"
)
NO_HOST = (
    "Destination address lookup failed: Host or domain name not found. Name service error for name=x.test type=MX: "
    "Host not found, try again"
)
USABLE = f"DNSSEC-signed TLSA record: {TLSA}: 3 1 1 AB12"
USABLE_OLD = f"using DANE RR: {TLSA} IN TLSA 3 1 1 AB:12"
UNUSABLE = f"warning: {TLSA} unsupported TLSA certificate usage: 0 0 1 AB12"
UNUSABLE_OLD = f"warning: {TLSA} unsupported certificate usage 0 in RR: {TLSA} IN TLSA 0 0 1 AB:12"
NO_MATCHING = f"warning: {TLSA} unsupported matching type 9 in RR: {TLSA} IN TLSA 3 1 9 AB:12"
NONE_USABLE = f"warning: {HOST}: all TLSA records unusable, fallback to unauthenticated TLS"
LOOKUP = (
    "warning: DANE TLSA lookup problem: Host or domain name not found. "
    f"Name service error for name={TLSA} type=TLSA: Host not found, try again"
)
NO_SESSION = "Failed to establish session to x.test via mx.x.test:25: TLSA lookup error for mx.x.test:25"


class Told:
    """A Postfix whose posttls-finger says what a test has written down."""

    def __init__(self, node, *said, on_stderr=False):
        self.node, self.commands = node, []
        self.seeing = lambda argv: None
        text = "".join(f"posttls-finger: {line}\n" for line in said)
        self.answer = Completed(0, "", text) if on_stderr else Completed(0, text, "")

    def run(self, argv, stdin=None):
        self.commands.append(argv)
        self.seeing(argv)
        return self.answer if "posttls-finger" in argv else Completed(0, "", "")

    def rehearse(self, level, **over):
        match = {"match": PINS[:1]} if level == "fingerprint" else {}
        record = read_domain("domains[0]", {"name": "x.test", "level": level, **match, **over})
        return rehearse(Postfix(self.run, self.node.config_dir), self.node.state, record)


def outcome(node, level, *said):
    found = Told(node, SILENT, *said).rehearse(level)
    return found.delivered, found.tls, found.reason


def argv(node, level="secure", seeing=lambda argv: None, **over):
    told = Told(node)
    told.seeing = seeing
    told.rehearse(level, **over)
    (found,) = told.commands
    return found


def after(words, option):
    return words[words.index(option) + 1] if option in words else None


# What becomes of mail at each level.


@pytest.mark.parametrize("level", ["dane-only", "fingerprint", "verify", "secure"])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([VERIFIED], (True, "Verified", None)),
        ([MISMATCH, TRUSTED], (False, "Trusted", MISMATCH)),
        ([MISMATCH, UNTRUSTED], (False, "Untrusted", MISMATCH)),
        ([UNTRUSTED], (False, "Untrusted", "nothing matches")),
        ([ANONYMOUS], (False, "Anonymous", "nothing matches")),
        ([HANDSHAKE], (False, None, HANDSHAKE)),
        ([REFUSED], (False, None, REFUSED)),
        ([NO_HOST], (False, None, NO_HOST)),
        ([], (False, None, "no TLS session was made")),
    ],
)
def test_a_level_that_authenticates_lets_mail_go_to_a_verified_peer_alone(node, level, said, expected):
    assert outcome(node, level, *said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([VERIFIED], (True, "Verified", None)),
        ([UNTRUSTED], (True, "Untrusted", None)),
        ([MISMATCH, UNTRUSTED], (True, "Untrusted", None)),
        ([ANONYMOUS], (True, "Anonymous", None)),
        ([HANDSHAKE], (False, None, HANDSHAKE)),
        ([REFUSED], (False, None, REFUSED)),
        ([NO_HOST], (False, None, NO_HOST)),
        ([], (False, None, "no TLS session was made")),
    ],
)
def test_encrypt_is_content_with_any_tls_and_with_nothing_less(node, said, expected):
    assert outcome(node, "encrypt", *said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([USABLE, VERIFIED], (True, "Verified", None)),
        ([USABLE_OLD, VERIFIED], (True, "Verified", None)),
        ([USABLE, MISMATCH, UNTRUSTED], (False, "Untrusted", MISMATCH)),
        ([USABLE_OLD, UNTRUSTED], (False, "Untrusted", "nothing matches")),
        ([USABLE, HANDSHAKE], (False, None, HANDSHAKE)),
        ([USABLE], (False, None, "no TLS session was made")),
        ([UNUSABLE, USABLE, VERIFIED], (True, "Verified", None)),
        ([UNUSABLE, USABLE], (False, None, UNUSABLE[len("warning: ") :])),
    ],
)
def test_dane_demands_what_usable_tlsa_records_say(node, said, expected):
    assert outcome(node, "dane", *said) == expected


@pytest.mark.parametrize(
    "records", [[UNUSABLE, NONE_USABLE], [UNUSABLE_OLD], [NO_MATCHING], [USABLE, NONE_USABLE], [NONE_USABLE]]
)
def test_dane_demands_tls_and_nobodys_name_where_no_tlsa_record_is_usable(node, records):
    assert outcome(node, "dane", *records, UNTRUSTED) == (True, "Untrusted", None)
    delivered, tls, reason = outcome(node, "dane", *records)
    assert (delivered, tls) == (False, None)
    assert reason


@pytest.mark.parametrize(
    ("said", "tls"), [([], None), ([UNTRUSTED], "Untrusted"), ([HANDSHAKE], None), ([MISMATCH, UNTRUSTED], "Untrusted")]
)
def test_dane_holds_nothing_back_where_there_is_no_tlsa_record(node, said, tls):
    assert outcome(node, "dane", *said) == (True, tls, None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([LOOKUP, NO_SESSION], LOOKUP[len("warning: ") :]),
        ([NO_SESSION], NO_SESSION),
        ([REFUSED], REFUSED),
        ([NO_HOST], NO_HOST),
    ],
)
@pytest.mark.parametrize("level", ["dane", "dane-only"])
def test_dane_waits_while_tlsa_records_cannot_be_looked_up(node, level, said, reason):
    assert outcome(node, level, *said) == (False, None, reason)


@pytest.mark.parametrize("level", ["encrypt", "dane", "secure"])
def test_mail_waits_where_postfixs_client_ends_with_an_error(node, level):
    told = Told(node, VERIFIED)
    told.answer = told.answer._replace(rc=1)
    assert told.rehearse(level).delivered is False


@pytest.mark.parametrize("subject", [VERIFIED, f"posttls-finger: {VERIFIED}"])
def test_a_certificate_cannot_speak_for_postfixs_client(node, subject):
    """Its owner chooses the names in it."""
    said = f"{HOST}: subject_CN={subject}, issuer_CN=x"
    assert outcome(node, "secure", said, UNTRUSTED) == (False, "Untrusted", "nothing matches")


def test_what_is_said_counts_wherever_it_is_said(node):
    assert Told(node, VERIFIED, on_stderr=True).rehearse("secure").tls == "Verified"


@pytest.mark.parametrize("mode", ["testing", "enforce"])
def test_a_record_is_tried_at_its_own_level_whatever_its_mode(node, mode):
    told = Told(node, MISMATCH, TRUSTED)
    found = told.rehearse("secure", mode=mode, route="[mx.x.test]:2525")
    assert after(told.commands[0], "-l") == "secure"
    assert found.as_facts() == {
        "domain": "x.test",
        "level": "secure",
        "next_hop": "[mx.x.test]:2525",
        "delivered": False,
        "tls": "Trusted",
        "reason": MISMATCH,
    }


# What Postfix's client is asked.


def test_no_message_is_sent_and_nobody_waits_long(node):
    assert argv(node) == [
        *["env", f"MAIL_CONFIG={node.config_dir}"],
        *["posttls-finger", "-c", "-L", "summary,verbose", "-t", "10", "-T", "10", "-l", "secure", "-d", "sha256"],
        *["-p", ">=TLSv1", "-g", "medium", "-h", "dns", "-P", "/etc/ssl/certs", "x.test", "nexthop", "dot-nexthop"],
    ]


@pytest.mark.parametrize("level", ["encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"])
def test_the_level_is_that_of_the_record(node, level):
    assert after(argv(node, level), "-l") == level


NEXTHOP = ["nexthop", "dot-nexthop"]
"""What Postfix compares at secure where main.cf says nothing else (postconf(5), smtp_tls_secure_cert_match)."""


@pytest.mark.parametrize(
    ("over", "next_hop"),
    [
        ({}, ["x.test", *NEXTHOP]),
        ({"subdomains": True}, ["x.test", *NEXTHOP]),
        ({"route": "[mx.x.test]"}, ["[mx.x.test]", *NEXTHOP]),
        ({"route": "hub.test:2525"}, ["hub.test:2525", *NEXTHOP]),
        ({"route": "[2001:db8::1]:25"}, ["[ipv6:2001:db8::1]:25", *NEXTHOP]),
        ({"match": ["mx.x.test", ".y.test"]}, ["x.test", "mx.x.test", ".y.test"]),
        ({"level": "fingerprint", "match": PINS[:2]}, ["x.test", *PINS[:2]]),
    ],
)
def test_the_next_hop_stands_last_with_the_names_to_match(node, over, next_hop):
    found = argv(node, over.pop("level", "secure"), **over)
    assert found[-len(next_hop) :] == next_hop
    assert found[-len(next_hop) - 1] == "/etc/ssl/certs"


@pytest.mark.parametrize(
    ("main_cf", "over", "floor", "grade"),
    [
        ("", {}, ">=TLSv1", "medium"),
        ("smtp_tls_mandatory_protocols = >=TLSv1.2\nsmtp_tls_mandatory_ciphers = high\n", {}, ">=TLSv1.2", "high"),
        ("smtp_tls_protocols = >=TLSv1.3\nsmtp_tls_ciphers = high\n", {}, ">=TLSv1", "medium"),
        ("smtp_tls_mandatory_protocols = >=TLSv1.2\n", {"minimum_protocol": "TLSv1.3"}, ">=TLSv1.3", "medium"),
        ("smtp_tls_mandatory_ciphers = high\n", {"ciphers": "medium"}, ">=TLSv1", "medium"),
        ("", {"minimum_protocol": "TLSv1.2", "ciphers": "high"}, ">=TLSv1.2", "high"),
    ],
)
def test_protocols_and_ciphers_are_the_records_or_else_those_of_mandatory_tls(node, main_cf, over, floor, grade):
    node.append(main_cf)
    found = argv(node, **over)
    assert (after(found, "-p"), after(found, "-g")) == (floor, grade)


def test_an_old_postfix_is_told_protocols_in_its_own_words(old_node):
    assert after(argv(old_node), "-p") == "!SSLv2, !SSLv3"
    assert after(argv(old_node, minimum_protocol="TLSv1.2"), "-p") == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


@pytest.mark.parametrize("level", ["encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"])
@pytest.mark.parametrize(
    ("main_cf", "ca_file", "ca_path"),
    [
        ("", None, "/etc/ssl/certs"),
        ("smtp_tls_CAfile = /etc/fleet.pem\n", "/etc/fleet.pem", "/etc/ssl/certs"),
        ("smtp_tls_CAfile = /etc/fleet.pem\nsmtp_tls_CApath =\n", "/etc/fleet.pem", None),
        ("smtp_tls_CApath =\n", None, None),
    ],
)
def test_the_cas_are_those_of_main_cf_and_none_for_dane(node, level, main_cf, ca_file, ca_path):
    node.append(main_cf)
    found = argv(node, level)
    wanted = (None, None) if level.startswith("dane") else (ca_file, ca_path)
    assert (after(found, "-F"), after(found, "-P")) == wanted


def test_the_node_shows_the_certificate_that_it_shows_when_it_sends(node):
    assert "-k" not in argv(node)
    paths = [write(node.path(name), name) for name in ("own.key", "own.crt")]
    node.append(f"smtp_tls_chain_files = {', '.join(paths)}\n")
    shown = []

    def look(path):
        with open(path, encoding="utf-8") as handle:
            shown.append(handle.read())

    found = argv(node, seeing=lambda words: look(after(words, "-k")))
    assert shown == ["own.key\nown.crt"]
    assert after(found, "-k") == after(found, "-K")
    assert not os.path.exists(after(found, "-k")), "it lies on no disk, and in memory no longer than it is needed"


@pytest.mark.parametrize("lookup", ["dns", "native", "dns,native"])
def test_hosts_are_looked_up_as_postfix_does(node, lookup):
    node.append(f"smtp_host_lookup = {lookup}\n")
    assert after(argv(node), "-h") == lookup


# What the log is told.


@pytest.mark.parametrize("reason", [MISMATCH, "no TLS session was made"])
def test_what_would_wait_is_one_line_of_postfixs_own_log(node, reason):
    told = Told(node)
    rehearsal = Rehearsal("x.test", "secure", "[mx.x.test]:25", False, "Trusted", reason)
    report(Postfix(told.run, node.config_dir), rehearsal)
    text = f"testing: mail for x.test would wait at level secure: {reason}"
    assert told.commands == [["postlog", "-c", node.config_dir, "-t", "smtp_hardening", "-p", "warn", text]]


@pytest.mark.parametrize(
    ("over", "name", "first"),
    [
        ({"route": "[smtp.x.test]:587"}, None, False),
        ({"route": "[smtp.x.test]:465"}, None, True),
        ({"route": "[smtp.x.test]:465", "servername": "nexthop"}, "smtp.x.test", True),
        ({"route": "[smtp.x.test]:587", "servername": "hostname"}, "smtp.x.test", False),
        ({"servername": "hostname"}, None, False),
        ({"servername": "nexthop"}, "x.test", False),
        ({"servername": "mail.x.test"}, "mail.x.test", False),
    ],
)
def test_a_host_is_asked_by_the_name_and_in_the_order_that_the_record_says(node, over, name, first):
    words = argv(node, **over)
    assert (after(words, "-s"), "-w" in words) == (name, first)


def test_a_store_is_asked_in_lmtp(node):
    node.append("lmtp_tls_CAfile = /ca.pem\n")
    words = argv(node, route="lmtp:[store.x.test]:24")
    assert ("-S" in words, after(words, "-F"), words[-2:]) == (True, "/ca.pem", ["[store.x.test]:24", "nexthop"])
