# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted in Postfix's log.

Log lines are those of real nodes: Postfix 3.5.25 (bullseye) and 3.10.13 (trixie).
"""

from __future__ import annotations

import json

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import traffic
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    OVERRIDES,
    SERVICES,
)

TLS_IN_3_5 = (
    "Anonymous TLS connection established from {0}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) "
    "key-exchange X25519 server-signature RSA-PSS (4096 bits) server-digest SHA256"
)
TLS_IN_3_10 = TLS_IN_3_5.replace("X25519", "x25519")
TLS_OUT = (
    "Untrusted TLS connection {1} to {0}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange "
    "x25519 server-signature RSA-PSS (4096 bits) server-digest SHA256"
)
CLIENT = "host.containers.internal[10.89.77.1]"
SERVER = "10.89.77.42[10.89.77.42]:25"
SENT = "relay={0}, delay=0.24, delays=0.02/0.04/0.18/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as CC3021BC798)"


def smtpd(*texts, tag="postfix/smtpd", pid=1145):
    return [(tag, str(pid), text.format(CLIENT)) for text in texts]


def smtp(*texts, tag="postfix/smtp", pid=1363):
    return [(tag, str(pid), text) for text in texts]


def failed(reason, relay="10.89.77.42[10.89.77.42]:25", status="deferred", dsn="4.7.5"):
    return f"9B1B51BC6C3: to=<u@secure.test>, relay={relay}, delay=0.21, delays=0.01/0.03/0.18/0, dsn={dsn}, status={status} ({reason})"


RECEIVED_PLAIN = smtpd(
    "connect from {0}",
    "47A1C1BC711: client={0}",
    "disconnect from {0} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
)
LOGS = {
    "plaintext in": (RECEIVED_PLAIN, {"messages_received smtpd no": 1}),
    "STARTTLS in, Postfix 3.5": (
        smtpd(
            "connect from {0}",
            TLS_IN_3_5,
            "AEAEF1BC687: client={0}",
            "disconnect from {0} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
        ),
        {"messages_received smtpd yes": 1},
    ),
    "STARTTLS in, several messages, the next client of the same process in plaintext": (
        smtpd(
            "connect from {0}",
            TLS_IN_3_10,
            "disconnect from {0} ehlo=2 starttls=1 mail=3 rcpt=3 data=3 rset=2 commands=14",
        )
        + RECEIVED_PLAIN,
        {"messages_received smtpd yes": 3, "messages_received smtpd no": 1},
    ),
    "STARTTLS in without a line of its own (smtpd_tls_loglevel = 0)": (
        smtpd("disconnect from {0} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7"),
        {"messages_received smtpd yes": 1},
    ),
    "implicit TLS in": (
        smtpd(
            "connect from {0}",
            TLS_IN_3_10,
            "disconnect from {0} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
            tag="postfix/smtps/smtpd",
        ),
        {"messages_received smtps/smtpd yes": 1},
    ),
    "implicit TLS in without a line of its own": (
        smtpd("disconnect from {0} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", tag="postfix/smtps/smtpd"),
        {"messages_received smtps/smtpd yes": 1},
    ),
    "chunks in": (
        smtpd("connect from {0}", "disconnect from {0} ehlo=1 mail=2 rcpt=2 bdat=5 quit=1 commands=11"),
        {"messages_received smtpd no": 2},
    ),
    "refused at the end of DATA": (
        smtpd("connect from {0}", "disconnect from {0} ehlo=1 mail=2 rcpt=2 data=1/2 quit=1 commands=6/7"),
        {"messages_received smtpd no": 1},
    ),
    "two clients at once": (
        smtpd("connect from {0}", TLS_IN_3_10)
        + smtpd("connect from {0}", pid=7)
        + smtpd("disconnect from {0} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", pid=7)
        + smtpd("disconnect from {0} ehlo=2 mail=1 rcpt=1 data=1 quit=1 commands=6"),
        {"messages_received smtpd yes": 1, "messages_received smtpd no": 1},
    ),
    "no relay for a stranger": (
        smtpd(
            "connect from {0}",
            "NOQUEUE: reject: RCPT from {0}: 454 4.7.1 <nobody@tls.test>: Relay access denied; "
            "from=<somebody@elsewhere.test> to=<nobody@tls.test> proto=ESMTP helo=<vm>",
            "disconnect from {0} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
        ),
        {"refused_in smtpd RCPT 4xx other": 1},
    ),
    "an unknown mailbox": (
        smtpd(
            "NOQUEUE: reject: RCPT from {0}: 550 5.1.1 <unknownuser@metrics.fleet.test>: Recipient address rejected: User "
            "unknown in local recipient table; from=<somebody@elsewhere.test> to=<unknownuser@metrics.fleet.test> proto=ESMTP helo=<vm>"
        ),
        {"refused_in smtpd RCPT 5xx other": 1},
    ),
    "a domain's mail without TLS": (
        smtpd(
            "NOQUEUE: reject: RCPT from unknown[10.89.77.42]: 450 4.7.1 Session encryption is required; "
            "from=<a@sender.test> to=<u@demands.test> proto=ESMTP helo=<metrics11.fleet.test>"
        ),
        {"refused_in smtpd RCPT 4xx tls": 1},
    ),
    "a domain's mail in testing": (
        smtpd(
            "NOQUEUE: reject_warning: RCPT from unknown[10.89.77.42]: 450 4.7.1 Session encryption is required; "
            "from=<a@sender.test> to=<u@demands.test> proto=ESMTP helo=<x>"
        ),
        {"would_refuse_in smtpd RCPT 4xx tls": 1},
    ),
    "plaintext at level encrypt, Postfix 3.5 and 3.10, which log nothing of it": (
        smtpd(
            "connect from {0}",
            "disconnect from {0} ehlo=1 mail=0/1 rcpt=0/1 data=0/1 rset=0/1 quit=1 commands=2/6",
            tag="postfix/submission/smtpd",
        ),
        {"refused_in submission/smtpd MAIL 5xx tls": 1},
    ),
    "TLS at level encrypt, and a bad sender": (
        smtpd(
            "connect from {0}",
            TLS_IN_3_10,
            "disconnect from {0} ehlo=2 starttls=1 mail=0/1 quit=1 commands=4/5",
            tag="postfix/submission/smtpd",
        ),
        {},
    ),
    "no client certificate": (
        smtpd(
            "NOQUEUE: abort: TLS from unknown[10.89.77.41]: No client certificate presented",
            tag="postfix/submission/smtpd",
        ),
        {"refused_in submission/smtpd STARTTLS 4xx tls": 1},
    ),
    "our own check, which has no certificate": (
        smtpd(
            "NOQUEUE: abort: TLS from localhost[127.0.0.1]: No client certificate presented", tag="postfix/strict/smtpd"
        ),
        {},
    ),
    "somebody else without one": (
        smtpd(
            "NOQUEUE: abort: TLS from unknown[10.89.77.41]: No client certificate presented", tag="postfix/strict/smtpd"
        ),
        {"refused_in strict/smtpd STARTTLS 4xx tls": 1},
    ),
    "content": (
        smtp(
            "A1: reject: header Subject: 450 4.7.1 TLS from x[1.2.3.4]: 4.0.0 from unknown[10.89.77.41]; from=<a@b.test> "
            "to=<c@d.test> proto=ESMTP helo=<x>: 5.7.1 message content rejected",
            tag="postfix/cleanup",
        )
        + smtp(
            "A2: milter-reject: END-OF-MESSAGE from unknown[10.89.77.41]: 5.7.1 Command rejected; from=<a@b.test> to=<c@d.test> proto=ESMTP helo=<x>",
            tag="postfix/cleanup",
        ),
        {"refused_in cleanup HEADER 5xx other": 1, "refused_in cleanup END-OF-MESSAGE 5xx other": 1},
    ),
    "postscreen": (
        smtp(
            "NOQUEUE: reject: RCPT from [10.89.77.41]:57054: 450 4.3.2 Service currently unavailable; from=<a@b.test>, "
            "to=<c@d.test>, proto=ESMTP, helo=<x>",
            tag="postfix/postscreen",
        ),
        {"refused_in postscreen RCPT 4xx other": 1},
    ),
    "a handshake that fails, Postfix 3.5 and 3.10": (
        smtpd(
            "connect from {0}",
            "SSL_accept error from {0}: -1",
            "warning: TLS library problem: error:14209102:SSL routines:tls_early_post_process_client_hello:unsupported "
            "protocol:../ssl/statem/statem_srvr.c:1685:",
            "lost connection after STARTTLS from {0}",
            "disconnect from {0} ehlo=1 starttls=0/1 commands=1/2",
        )
        + smtpd("SSL_accept error from {0}: -1", "NOQUEUE: lost connection after STARTTLS from {0}"),
        {"tls_handshake_failures smtpd": 2},
    ),
    "plaintext out": (
        smtp(f"A7BEA1BC712: to=<u@plain.test>, {SENT.format(SERVER)}"),
        {"sent_recipients smtp no sent": 1},
    ),
    "TLS out, two recipients": (
        smtp(
            TLS_OUT.format(SERVER, "established"),
            f"923641BC609: to=<u@may.test>, {SENT.format(SERVER)}",
            f"923641BC609: to=<v@may.test>, orig_to=<w@may.test>, {SENT.format(SERVER)}",
        ),
        {"sent_recipients smtp yes sent": 2},
    ),
    "TLS out, then the next message of the same process to the same server in plaintext": (
        smtp(
            TLS_OUT.format(SERVER, "established"),
            f"923641BC609: to=<u@may.test>, {SENT.format(SERVER)}",
            f"A7BEA1BC712: to=<u@may.test>, {SENT.format(SERVER)}",
        ),
        {"sent_recipients smtp yes sent": 1, "sent_recipients smtp no sent": 1},
    ),
    "TLS to one server, which sends us on to the next, in plaintext": (
        smtp(
            TLS_OUT.format(SERVER, "established"),
            f"923641BC609: to=<u@may.test>, {SENT.format('mx2.test[192.0.2.2]:25')}",
        ),
        {"sent_recipients smtp no sent": 1},
    ),
    "a TLS connection used again": (
        smtp(
            TLS_OUT.format(SERVER, "established"),
            f"CE33D1BC9BE: to=<u1@reuse.test>, {SENT.format(SERVER)}",
            TLS_OUT.format(SERVER, "reused"),
            f"D5C8F1BC6C9: to=<u3@reuse.test>, {SENT.format(SERVER).replace('delay=', 'conn_use=2, delay=', 1)}",
            tag="postfix/relay/smtp",
        ),
        {"sent_recipients relay/smtp yes sent": 2},
    ),
    "LMTP": (
        smtp(f"A7BEA1BC712: to=<u@plain.test>, {SENT.format('store.test[private/lmtp]')}", tag="postfix/lmtp"),
        {"sent_recipients lmtp no sent": 1},
    ),
    "a mailbox": (
        smtp(
            "47A1C1BC711: to=<probe@metrics.fleet.test>, relay=local, delay=0.01, delays=0.01/0.01/0/0, dsn=2.0.0, "
            "status=sent (delivered to mailbox)",
            tag="postfix/local",
        ),
        {"local_recipients local sent": 1},
    ),
    "a message too old": (
        smtp("47A1C1BC711: from=<a@b.test>, status=expired, returned to sender", tag="postfix/qmgr"),
        {"expired_messages": 1},
    ),
    "an address probe": (
        smtp(
            "47A1C1BC711: to=<probe@b.test>, relay=b.test[192.0.2.2]:25, delay=0.01, delays=0.01/0.01/0/0, dsn=2.1.5, "
            "status=deliverable (250 2.1.5 Ok)"
        ),
        {},
    ),
    "an instance that is not ours": (smtpd("connect from {0}", tag="postfix-out/smtpd"), {}),
}


def counted(made, events, state=None):
    """What the log comes to: ``family label label`` and how many, zeros left out."""
    state = {} if state is None else state
    totals = traffic.Traffic(made, state.setdefault("totals", {}), state.setdefault("sessions", {}))
    for event in events:
        totals.see(*event)
    rows = ((name, json.loads(key), n) for name, values in state["totals"].items() for key, n in values.items())
    return {" ".join([name.replace("_total", ""), *key]): n for name, key, n in rows if n}


@pytest.mark.parametrize(("events", "expected"), LOGS.values(), ids=LOGS)
def test_the_log_is_counted(instance, events, expected):
    assert counted(instance(master=SERVICES, overrides=OVERRIDES), events) == expected


@pytest.mark.parametrize(("events", "expected"), LOGS.values(), ids=LOGS)
def test_a_run_that_begins_in_the_middle_of_a_session_counts_the_same(instance, events, expected):
    """Each line is read by a run of its own, with what the one before it wrote to its state."""
    state = {}
    for event in events:
        found = counted(instance(master=SERVICES, overrides=OVERRIDES), [event], state)
        state = json.loads(json.dumps(state))
    assert found == expected


PEER = "host 10.89.77.42[10.89.77.42]"
HELD_BACK = {
    "TLS is required, but was not offered by host 10.89.77.42[10.89.77.42]": "not_offered",
    "Cannot start TLS: handshake failure": "handshake",
    "delivery temporarily suspended: Cannot start TLS: handshake failure": "handshake",
    "TLS is required, but host mx.test[192.0.2.1] refused to start TLS: 454 4.7.0 TLS not available": "handshake",
    "Server certificate not trusted": "certificate",
    "Server certificate not verified": "certificate",
    "TLSA lookup error for mx.test:25": "dane",
    "non DNSSEC destination": "dane",
    "client TLS configuration problem": "configuration",
    f"{PEER} said: 530 5.7.0 Must issue a STARTTLS command first (in reply to MAIL FROM command)": "peer",
    f"{PEER} said: 450 4.7.1 Session encryption is required (in reply to RCPT TO command)": "peer",
    f"{PEER} refused to talk to me: 421 4.7.1 metrics11.fleet.test Error: No client certificate presented": "peer",
    "connect to 10.89.77.42[10.89.77.42]:10099: Connection refused": None,
    f"{PEER} said: 450 4.2.0 Greylisted (in reply to RCPT TO command)": None,
}


@pytest.mark.parametrize(("reason", "cause"), HELD_BACK.items(), ids=HELD_BACK)
@pytest.mark.parametrize("status", ["deferred", "bounced"])
def test_mail_that_tls_holds_back_is_counted_by_cause(instance, reason, cause, status):
    found = counted(instance(), smtp(failed(reason, status=status)))
    expected = {f"refused_out_recipients smtp {status} {cause}": 1} if cause else {}
    assert found == {f"sent_recipients smtp no {status}": 1, **expected}


def test_mail_that_is_sent_is_not_held_back_whatever_the_server_says(instance):
    found = counted(instance(), smtp(failed(f"{PEER} said: 450 TLS", status="sent")))
    assert found == {"sent_recipients smtp no sent": 1}


def test_without_lines_about_tls_it_is_not_known_whether_mail_went_out_in_plaintext(instance):
    found = counted(instance({"smtp_tls_loglevel": "0"}), smtp(f"A7: to=<u@plain.test>, {SENT.format(SERVER)}"))
    assert found == {"sent_recipients smtp unknown sent": 1}


def test_an_instance_is_known_by_its_syslog_name(instance):
    made = instance({"syslog_name": "postfix-out"})
    assert counted(made, smtpd("disconnect from x mail=1 data=1", tag="postfix-out/smtpd")) == {
        "messages_received smtpd no": 1
    }
    assert counted(made, RECEIVED_PLAIN) == {}


def test_processes_that_never_end_do_not_fill_the_state(instance, monkeypatch):
    monkeypatch.setattr(traffic, "SESSIONS", 10)
    state = {}
    counted(instance(), [("postfix/smtpd", str(pid), "connect from x") for pid in range(30)], state)
    assert list(state["sessions"]) == [f"postfix/smtpd[{pid}]" for pid in range(20, 30)]


def test_nothing_that_a_peer_says_becomes_a_label(instance):
    said = "evil.test"
    lines = [
        f"NOQUEUE: reject: {said} from {said}[1.2.3.4]: 554 5.7.1 {said}; from=<{said}>",
        f"NOQUEUE: reject: RCPT from {said}[1.2.3.4]: {said}",
        f"A1: to=<{said}>, relay={said}[1.2.3.4]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent ({said})",
        f"{said} TLS connection established to {said}: {said}",
    ]
    tags = ("smtpd", "smtp", "cleanup", "local", "postscreen")
    found = counted(instance(), [(f"postfix/{tag}", "1", line) for tag in tags for line in lines])
    assert found
    assert said not in json.dumps(found)
