# SPDX-License-Identifier: GPL-3.0-or-later
"""What a peer or a user says neither forges a count nor takes long to read."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    OVERRIDES,
    SERVICES,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.test_traffic import (
    CLIENT,
    PEER,
    counted,
)

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
def test_what_is_said_is_not_taken_for_what_was_done(instance, program_name, line, expected):
    events = [(f"postfix/{program_name}", "7", line)]
    assert counted(instance(master=SERVICES, overrides=OVERRIDES), events) == expected


def test_programs_that_somebody_makes_up_are_not_counted(instance):
    line = f"A1: to=<u@a.test>, {MIDDLE}"
    assert counted(instance(), [(f"postfix/{number}", "7", line) for number in range(99)]) == {}
    assert counted(instance(), [("postfix/virtual", "7", line)]) == {"local_recipients virtual sent": 1}


def test_a_delivery_is_counted_with_whatever_postfix_logs_of_it(instance):
    line = (
        "A1: to=<u@a.test>, relay=mx.test[192.0.2.1]:25, conn_use=2, delay=1, delays=0/0/0/1, tls=dane:may/(requiretls), "
        "dsn=2.0.0, status=sent (250 ok)"
    )
    assert counted(instance(), [("postfix/smtp", "7", line)]) == {"sent_recipients smtp no sent": 1}


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
def test_a_long_line_takes_no_long_time(instance, program_name, line):
    begun = datetime.datetime.now()
    counted(instance(), [(f"postfix/{program_name}", "7", line)])
    assert (datetime.datetime.now() - begun).total_seconds() < 2
