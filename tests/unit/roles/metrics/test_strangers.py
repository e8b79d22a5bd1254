# SPDX-License-Identifier: GPL-3.0-or-later
"""What a peer, a user or a certificate says neither forges a count nor breaks what is told."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import OVERRIDES, SERVICES, parse
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.test_traffic import CLIENT, PEER, counted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import NameOID

MIDDLE = "relay=mx.evil.test[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"
TRUE = "relay=mx.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred ({0})"
DEFERRED = {"sent_recipients smtp no deferred": 1}
REJECT = "NOQUEUE: reject: RCPT from {0}: {1} 5.7.1 {2}; from=<{3}> to=<{4}> proto=ESMTP helo=<{5}>"


def reject(text, code="550", sender="a@b.test", to="c@d.test", helo="x"):
    return REJECT.format(CLIENT, code, text, sender, to, helo)


FORGED = {
    "a reply that looks like the end of a line": (
        "smtp",
        f"A1: to=<u@a.test>, {TRUE.format('host x said: 450 4.0.0 status=sent (250 ok)')}",
        DEFERRED,
    ),
    "a reply that looks like all of it": (
        "smtp",
        f"A1: to=<u@a.test>, {TRUE.format(f'host x said: 450 A2: to=<v@a.test>, {MIDDLE}')}",
        DEFERRED,
    ),
    "a local part that looks like the rest of the line": (
        "smtp",
        f'A1: to=<"u>, {MIDDLE}"@a.test>, {TRUE.format("450")}',
        DEFERRED,
    ),
    "a local part with quotes and backslashes": (
        "smtp",
        rf'A1: to=<"\"\\\">, {MIDDLE}"@a.test>, orig_to=<"x>, relay=local, \\"@b.test>, {TRUE.format("450")}',
        DEFERRED,
    ),
    "an alias that looks like the rest of the line": (
        "smtp",
        f'A1: to=<u@a.test>, orig_to=<"u>, {MIDDLE}"@a.test>, {TRUE.format("450")}',
        DEFERRED,
    ),
    "a sender whose mail has expired, it says": (
        "qmgr",
        'A1: from=<"x>, status=expired, returned to sender"@a.test>, size=300, nrcpt=1 (queue active)',
        {},
    ),
    "a server that speaks of the STARTTLS response": (
        "smtp",
        f"A1: to=<u@a.test>, {TRUE.format(f'{PEER} said: 450 4.0.0 lost while receiving the STARTTLS response')}",
        {**DEFERRED, "refused_out_recipients smtp deferred peer": 1},
    ),
    "a HELO name that speaks of TLS": (
        "smtpd",
        reject("<x tls>: Helo command rejected: Invalid name", helo="x tls"),
        {"refused_in smtpd RCPT 5xx other": 1},
    ),
    "a HELO name that looks like the end of an address": (
        "smtpd",
        reject("<x>: tls; y>: Helo command rejected: Invalid name", helo="x>: tls; y"),
        {"refused_in smtpd RCPT 5xx other": 1},
    ),
    "a sender that speaks of encryption": (
        "smtpd",
        reject('<"a> encryption "@b.test>: Sender address rejected: x', sender='"a> encryption "@b.test'),
        {"refused_in smtpd RCPT 5xx other": 1},
    ),
    "another server's reason to refuse an address": (
        "smtpd",
        reject(
            "<c@d.test>: Recipient address rejected: unverified address: host mx.evil.test[192.0.2.9] said: 550 5.7.0 Must "
            "issue a STARTTLS command first (in reply to RCPT TO command)"
        ),
        {"refused_in smtpd RCPT 5xx other": 1},
    ),
    "a code in a HELO name": (
        "cleanup",
        "A1: milter-reject: END-OF-MESSAGE from x[192.0.2.1]: 5.7.1 Command rejected; from=<a@b.test> proto=ESMTP helo=<x: 4.0.0 y>",
        {"refused_in cleanup END-OF-MESSAGE 5xx other": 1},
    ),
    "a header with a whole refusal": (
        "cleanup",
        "A1: reject: header Subject: NOQUEUE: reject: RCPT from x: 450 4.7.1 TLS from x[192.0.2.1]; from=<a@b> "
        "helo=<y: 4.0.0 z>: 5.7.1 message content rejected",
        {"refused_in cleanup HEADER 5xx other": 1},
    ),
}


@pytest.mark.parametrize(("program_name", "line", "expected"), FORGED.values(), ids=FORGED)
def test_what_is_said_is_not_taken_for_what_was_done(program, instance, program_name, line, expected):
    events = [(f"postfix/{program_name}", "7", line)]
    assert counted(program, instance(master=SERVICES, overrides=OVERRIDES), events) == expected


def test_programs_that_somebody_makes_up_are_not_counted(program, instance):
    line = f"A1: to=<u@a.test>, {MIDDLE}"
    assert counted(program, instance(), [(f"postfix/{number}", "7", line) for number in range(99)]) == {}
    assert counted(program, instance(), [("postfix/virtual", "7", line)]) == {"local_recipients virtual sent": 1}


def test_a_delivery_is_counted_with_whatever_postfix_logs_of_it(program, instance):
    line = (
        "A1: to=<u@a.test>, relay=mx.test[192.0.2.1]:25, conn_use=2, delay=1, delays=0/0/0/1, tls=dane:may/(requiretls), "
        "dsn=2.0.0, status=sent (250 ok)"
    )
    assert counted(program, instance(), [("postfix/smtp", "7", line)]) == {"sent_recipients smtp no sent": 1}


@pytest.mark.parametrize(
    "line",
    [
        'A1: to=<"' + "\\" * 60000,
        "A1: to=<" + '"x"' * 20000,
        "A1: to=<u@a.test>, relay=x, " + "a=b, " * 12000 + "status",
        "NOQUEUE: reject: RCPT from " + "x: 550 5.1.1 " * 5000,
        "A1: reject: header " + ": 4.0.0" * 9000,
        "A1: from=<" + '"\\"' * 20000,
        "disconnect from x " + "a=1/" * 15000,
    ],
    ids=["backslashes", "quotes", "words", "codes", "headers", "sender", "commands"],
)
@pytest.mark.parametrize("program_name", ["smtp", "smtpd", "cleanup", "qmgr"])
def test_a_long_line_takes_no_long_time(program, instance, program_name, line):
    begun = datetime.datetime.now()
    counted(program, instance(), [(f"postfix/{program_name}", "7", line)])
    assert (datetime.datetime.now() - begun).total_seconds() < 2


def certificate(names, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in names])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    built = built.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9))
    signed = built.sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)
    return signed.public_bytes(serialization.Encoding.PEM)


NAMES = ['a"} 1\nsmtp_hardening_healthy 1\n', "a\r\x1b[31m\x00\u202e\u2028", "\\", 'x\\"', "é" * 30]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_certificates_name_is_a_label_and_nothing_else(program, instance, tmp_path, name, capsys):
    (tmp_path / "chain.pem").write_bytes(certificate([name]))
    found = program.certificates(instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"}))
    metrics = program.Metrics()
    program.tell_certificates(found, 0, metrics)
    told = metrics.render()
    assert set(parse(told)) == {
        "smtp_hardening_certificate_not_after_timestamp_seconds",
        "smtp_hardening_certificate_days_left",
    }
    program.complain(f"the certificate {name} has expired")
    said = capsys.readouterr().err
    for text in (told.replace("\n", ""), said[:-1]):
        assert all(letter.isprintable() for letter in text)


def test_labels_are_short_and_few(program, monkeypatch):
    monkeypatch.setattr(program, "CERTIFICATES", 3)
    chains = [
        program.Certificate("server", f"c{day}", "ecdsa", "x" * 9999, day * program.DAY) for day in range(9, 0, -1)
    ]
    metrics = program.Metrics()
    program.tell_certificates(chains, 0, metrics)
    (days, moments) = (metrics.samples[f"certificate_{name}"] for name in ("days_left", "not_after_timestamp_seconds"))
    assert sorted(days.values()) == [1, 2, 3] and len(moments) == 3
    assert max(map(len, metrics.render().splitlines())) < 400


def test_a_key_of_a_kind_that_the_library_does_not_know_is_told_as_another(program, instance, tmp_path, monkeypatch):
    (tmp_path / "chain.pem").write_bytes(certificate(["mx"], ed448.Ed448PrivateKey.generate()))
    made = instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"})
    assert [found.key_type for found in program.certificates(made)] == ["other"]

    class Unknown:
        def public_key(self):
            raise program.UnsupportedAlgorithm("ML-DSA")

    assert program.key_type(Unknown()) == "other"


def test_octets_that_are_no_text_are_told_and_digested(program, monkeypatch):
    answers = {
        "-M": b"smtp inet n - y - - smtpd\n",
        "-Px": b"",
        "-x": b"syslog_name = postfix\nmyhostname = mx\nsmtpd_banner = B\xfcro\n",
        "-n": b"smtpd_banner = B\xfcro\n",
    }
    monkeypatch.setattr(
        program.subprocess,
        "run",
        lambda argv, **_options: program.subprocess.CompletedProcess(argv, 0, answers[argv[-1]], b""),
    )
    made = program.read_instance("/etc/postfix")
    other = made._replace(explicit=["smtpd_banner = B\udcfdro"])
    assert program.policy_digest(made) != program.policy_digest(other)
    metrics = program.Metrics()
    metrics.add("listener_up", 1, service="B\udcfcro/inet")
    assert r'service="B\\udcfcro/inet"' in metrics.render()
