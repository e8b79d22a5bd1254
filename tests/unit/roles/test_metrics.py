# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted in Postfix's log, how far it was read, what equal policies have in common, and how it is told.

Log lines are those of real nodes: Postfix 3.5.25 (bullseye) and 3.10.13 (trixie).
"""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import json
import lzma
import os
import pathlib
import pwd
import re
import shutil
import socket
import socketserver
import ssl
import struct
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from cryptography.hazmat.primitives.serialization import Encoding

SCRIPT = pathlib.Path(__file__).parents[3] / "roles" / "relay" / "files" / "smtp-metrics.py"


SIDE = {
    "{side}_tls_security_level": "may",
    "{side}_tls_protocols": ">=TLSv1.2",
    "{side}_tls_mandatory_protocols": ">=TLSv1.2",
    "{side}_tls_loglevel": "1",
    "{side}_tls_CAfile": "",
    "{side}_tls_chain_files": "",
}
EFFECTIVE = {
    **{name.format(side=side): value for side in ("smtpd", "smtp", "lmtp") for name, value in SIDE.items()},
    "syslog_name": "postfix",
    "myhostname": "mx1.example.com",
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "smtpd_tls_wrappermode": "no",
    "smtpd_tls_ask_ccert": "no",
    "smtpd_tls_req_ccert": "no",
    "tls_server_sni_maps": "",
}
MASTER = """\
smtp inet n - y - - smtpd
qmgr unix n - n 300 1 qmgr
smtp unix - - y - - smtp
relay unix - - y - - smtp
lmtp unix - - y - - lmtp
local unix - n n - - local
error unix - - y - - error
cleanup unix n - y - 0 cleanup
"""


@pytest.fixture
def instance(program, tmp_path):
    """Make an instance as postconf would show it."""

    def make(effective=(), explicit=(), master="", overrides=(), config_dir=None):
        entries = (MASTER + master).splitlines()
        services = program.read_services(entries, list(overrides))
        found = {**EFFECTIVE, "queue_directory": str(tmp_path / "spool"), **dict(effective)}
        return program.Instance(config_dir or str(tmp_path / "postfix"), found, list(explicit), entries, services)

    return make


# What is counted

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
SERVICES = """\
smtps inet n - y - - smtpd
submission inet n - y - - smtpd
10031 inet n - y - - smtpd
"""
OVERRIDES = [
    "relay/unix/syslog_name = postfix/relay",
    "smtps/inet/syslog_name = postfix/smtps",
    "smtps/inet/smtpd_tls_wrappermode = yes",
    "submission/inet/syslog_name = postfix/submission",
    "submission/inet/smtpd_tls_security_level = encrypt",
    "10031/inet/syslog_name = postfix/strict",
    "10031/inet/smtpd_tls_wrappermode = yes",
    "10031/inet/smtpd_tls_req_ccert = yes",
]


def counted(program, made, events, state=None):
    """What the log comes to: ``family label label`` and how many, zeros left out."""
    state = {} if state is None else state
    traffic = program.Traffic(made, state.setdefault("totals", {}), state.setdefault("sessions", {}))
    for event in events:
        traffic.see(*event)
    rows = ((name, json.loads(key), n) for name, values in state["totals"].items() for key, n in values.items())
    return {" ".join([name.replace("_total", ""), *key]): n for name, key, n in rows if n}


@pytest.mark.parametrize(("events", "expected"), LOGS.values(), ids=LOGS)
def test_the_log_is_counted(program, instance, events, expected):
    assert counted(program, instance(master=SERVICES, overrides=OVERRIDES), events) == expected


@pytest.mark.parametrize(("events", "expected"), LOGS.values(), ids=LOGS)
def test_a_run_that_begins_in_the_middle_of_a_session_counts_the_same(program, instance, events, expected):
    """Each line is read by a run of its own, with what the one before it wrote to its state."""
    state = {}
    for event in events:
        found = counted(program, instance(master=SERVICES, overrides=OVERRIDES), [event], state)
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
def test_mail_that_tls_holds_back_is_counted_by_cause(program, instance, reason, cause, status):
    found = counted(program, instance(), smtp(failed(reason, status=status)))
    expected = {f"refused_out_recipients smtp {status} {cause}": 1} if cause else {}
    assert found == {f"sent_recipients smtp no {status}": 1, **expected}


def test_mail_that_is_sent_is_not_held_back_whatever_the_server_says(program, instance):
    found = counted(program, instance(), smtp(failed(f"{PEER} said: 450 TLS", status="sent")))
    assert found == {"sent_recipients smtp no sent": 1}


def test_without_lines_about_tls_it_is_not_known_whether_mail_went_out_in_plaintext(program, instance):
    found = counted(
        program, instance({"smtp_tls_loglevel": "0"}), smtp(f"A7: to=<u@plain.test>, {SENT.format(SERVER)}")
    )
    assert found == {"sent_recipients smtp unknown sent": 1}


def test_an_instance_is_known_by_its_syslog_name(program, instance):
    made = instance({"syslog_name": "postfix-out"})
    assert counted(program, made, smtpd("disconnect from x mail=1 data=1", tag="postfix-out/smtpd")) == {
        "messages_received smtpd no": 1
    }
    assert counted(program, made, RECEIVED_PLAIN) == {}


def test_processes_that_never_end_do_not_fill_the_state(program, instance, monkeypatch):
    monkeypatch.setattr(program, "SESSIONS", 10)
    state = {}
    counted(program, instance(), [("postfix/smtpd", str(pid), "connect from x") for pid in range(30)], state)
    assert list(state["sessions"]) == [f"postfix/smtpd[{pid}]" for pid in range(20, 30)]


def test_nothing_that_a_peer_says_becomes_a_label(program, instance):
    said = "evil.test"
    lines = [
        f"NOQUEUE: reject: {said} from {said}[1.2.3.4]: 554 5.7.1 {said}; from=<{said}>",
        f"NOQUEUE: reject: RCPT from {said}[1.2.3.4]: {said}",
        f"A1: to=<{said}>, relay={said}[1.2.3.4]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent ({said})",
        f"{said} TLS connection established to {said}: {said}",
    ]
    tags = ("smtpd", "smtp", "cleanup", "local", "postscreen")
    found = counted(program, instance(), [(f"postfix/{tag}", "1", line) for tag in tags for line in lines])
    assert found
    assert said not in json.dumps(found)


@pytest.mark.parametrize(
    "line",
    [
        "Nov 24 22:47:40 metrics postfix/smtpd[1145]: connect from x",
        "Nov  4 22:47:40 metrics postfix/smtpd[1145]: connect from x",
        "2026-11-24T22:47:40.123456+00:00 metrics postfix/smtpd[1145]: connect from x",
    ],
)
def test_a_line_is_read_with_either_kind_of_time(program, line):
    assert program.LINE.match(line).groups() == ("postfix/smtpd", "1145", "connect from x")


def test_a_line_that_quotes_another_is_its_own(program):
    line = "Nov 24 22:47:40 metrics sshd[7]: Nov 24 22:47:40 metrics postfix/smtpd[1145]: connect from x"
    assert program.LINE.match(line)["tag"] == "sshd"


# How far the log was read


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "mail.log")


class Log:
    """A log that is written to and rotated."""

    def __init__(self, path):
        self.path, self.lines = path, 0
        self.path.touch()
        self.age(1000)

    def age(self, seconds):
        """As if it was last written to some time ago."""
        moment = time.time() - seconds
        os.utime(self.path, (moment, moment))

    def write(self, count=1):
        with self.path.open("a", encoding="ascii") as handle:
            for _line in range(count):
                self.lines += 1
                handle.write(f"Nov 24 22:47:40 mx1 postfix/smtpd[{self.lines}]: connect from {'x' * 200}\n")

    def rotate(self, name="mail.log.1", begin=True):
        self.path.rename(self.path.with_name(name))
        if begin:
            self.path.touch()


class Reader:
    """Run after run, with the position that the state file keeps."""

    def __init__(self, program, log):
        self.program, self.log, self.position = program, log, None

    def __call__(self):
        file = self.program.LogFile(str(self.log.path), self.position)
        found = [int(pid) for _tag, pid, _text in file.events()]
        self.position = json.loads(json.dumps(file.position))
        return found


@pytest.fixture
def read(program, log):
    return Reader(program, log)


def test_the_first_run_begins_at_the_end(log, read):
    log.write(3)
    assert read() == []
    log.write(2)
    assert read() == [4, 5]
    assert read() == []


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(log, read):
    log.path.unlink()
    assert read() == []
    assert read() == []
    log.write(2)
    assert read() == [1, 2]


def test_an_empty_log_is_read_from_its_beginning_even_when_it_is_rotated(log, read):
    assert read() == []
    log.write(2)
    log.rotate()
    log.write(1)
    assert read() == [1, 2, 3]


def test_an_empty_log_is_not_taken_for_the_one_before_it(log, read):
    log.write(2)
    log.rotate()
    log.age(1000)
    assert read() == []
    log.write(1)
    assert read() == [3]


def test_a_log_that_is_rotated_while_we_look_for_it_is_read_whole(program, log, read, monkeypatch):
    log.write(3)
    read()
    log.write(1)
    look, looks = program.LogFile._paths, []

    def rotated_meanwhile(file):
        found = look(file)
        if not looks:
            log.rotate()
            log.write(1)
        looks.append(found)
        return found

    monkeypatch.setattr(program.LogFile, "_paths", rotated_meanwhile)
    assert read() == [4, 5]


def test_half_a_line_waits_for_its_other_half(log, read):
    read()
    log.write(1)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-30])
    assert read() == []
    log.path.write_bytes(whole)
    assert read() == [1]


def compressed(name, opened):
    def pack(log):
        path = log.path.with_name(name)
        packed = path.with_name(name + {gzip.open: ".gz", bz2.open: ".bz2", lzma.open: ".xz"}[opened])
        with path.open("rb") as source, opened(packed, "wb") as target:
            shutil.copyfileobj(source, target)
        os.utime(packed, (int(path.stat().st_mtime),) * 2)  # as some compressors keep it
        path.unlink()

    return pack


def left_alone(log):
    pass


@pytest.mark.parametrize("begin", [True, False], ids=["new log there", "no new log yet"])
@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("mail.log.1", left_alone),
        ("mail.log-20261125", left_alone),
        ("mail.log.20261124-225008", compressed("mail.log.20261124-225008", gzip.open)),
        ("mail.log.1", compressed("mail.log.1", bz2.open)),
        ("mail.log.1", compressed("mail.log.1", lzma.open)),
    ],
    ids=["logrotate", "dateext", "postfix logrotate", "bzip2", "xz"],
)
def test_a_rotated_log_is_read_to_its_end_and_the_new_one_after_it(log, read, name, then, begin):
    log.write(3)
    read()
    log.write(2)
    log.rotate(name, begin)
    then(log)
    if begin:
        log.write(1)
    assert read() == ([4, 5, 6] if begin else [4, 5])
    log.write(1)
    assert read() == ([7] if begin else [6])
    assert read() == []


def test_a_log_that_is_rotated_twice_between_two_runs_is_read_whole(log, read):
    log.write(2)
    read()
    log.write(1)
    log.rotate("mail.log.2")
    os.utime(log.path.with_name("mail.log.2"), (time.time() - 60,) * 2)
    read.position[1] -= 1000
    log.write(1)
    log.rotate("mail.log.1")
    log.write(1)
    assert read() == [3, 4, 5]


def test_a_log_that_is_copied_and_truncated_is_read_whole(log, read):
    log.write(3)
    read()
    log.write(2)
    shutil.copy2(log.path, log.path.with_name("mail.log.1"))
    os.truncate(log.path, 0)
    log.write(1)
    assert read() == [4, 5, 6]


def test_a_log_that_was_truncated_is_read_from_its_beginning(log, read):
    log.write(3)
    read()
    os.truncate(log.path, 0)
    log.write(1)
    assert read() == [4]


def test_a_log_that_is_being_compressed_is_read_once(log, read):
    log.write(3)
    read()
    log.write(2)
    log.rotate()
    rotated = log.path.with_name("mail.log.1")
    packed = gzip.compress(rotated.read_bytes())
    rotated.with_name("mail.log.1.gz").write_bytes(packed[: len(packed) - 10])
    log.write(1)
    assert read() == [4, 5, 6]


def test_older_logs_are_left_alone(log, read):
    log.write(3)
    shutil.copy2(log.path, log.path.with_name("mail.log.3"))
    log.path.with_name("mail.log.4.gz").write_bytes(b"none")
    log.write(1)
    read()
    log.write(1)
    assert read() == [5]


def test_what_one_run_cannot_read_the_next_one_does(program, log, read, monkeypatch):
    read()
    log.write(10)
    log.rotate()
    log.write(2)
    monkeypatch.setattr(program, "LOG_BYTES", 500)
    found = [read() for _run in range(6)]
    assert [line for one in found for line in one] == list(range(1, 13))
    assert len(found[0]) < 10


def journal(program, monkeypatch, entries):
    """What was asked of journalctl, which answers with these entries."""
    asked = []

    class Process:
        returncode = 0

        def __init__(self, argv, stdout):
            asked.append(argv)
            self.stdout = io.BytesIO("".join(json.dumps(entry) + "\n" for entry in entries).encode())

        def __enter__(self):
            return self

        def __exit__(self, *_exception):
            return None

    monkeypatch.setattr(program.subprocess, "Popen", Process)
    return asked


def test_the_journal_is_read_from_where_it_was_read_to(program, instance, monkeypatch):
    made = instance({"mail_owner": "nobody"}, master=SERVICES, overrides=OVERRIDES)
    users = {f"_UID={pwd.getpwnam(name).pw_uid}" for name in ("root", "nobody")}
    entry = {"__CURSOR": "s=1;i=2", "SYSLOG_IDENTIFIER": "postfix/smtpd", "SYSLOG_PID": "7", "_PID": "8"}
    asked = journal(program, monkeypatch, [{**entry, "MESSAGE": "connect from x"}])
    log = program.Journal(made)
    assert log.position == "s=1;i=2"
    assert list(log.events()) == [("postfix/smtpd", "7", "connect from x")]
    assert "--after-cursor=s=1;i=2" in asked[1]
    assert {"--identifier=postfix/smtpd", "--identifier=postfix/submission/smtpd", *users} <= set(asked[1])


def test_the_journal_may_hold_octets_that_are_no_text(program, instance, monkeypatch):
    entry = {"__CURSOR": "c", "SYSLOG_IDENTIFIER": "postfix/smtpd", "_PID": "8", "MESSAGE": [72, 255]}
    journal(program, monkeypatch, [entry])
    log = program.Journal(instance({"mail_owner": "root"}), "b")
    assert list(log.events()) == [("postfix/smtpd", "8", "H\ufffd")]


def test_an_empty_journal_is_read_from_its_beginning(program, instance, monkeypatch):
    asked = journal(program, monkeypatch, [])
    log = program.Journal(instance({"mail_owner": "root"}))
    assert list(log.events()) == []
    assert not [word for word in asked[1] if word.startswith("--after-cursor")]


def test_counters_go_on_from_run_to_run_and_begin_anew_for_another_instance(program, instance, log, tmp_path):
    state = tmp_path / "state.json"
    made = instance({"maillog_file": str(log.path)})

    def received(one):
        metrics = program.Metrics()
        program.tell_traffic(one, str(state), metrics)
        return metrics.samples["messages_received_total"][("service", "smtpd"), ("tls", "no")]

    line = "Nov 24 22:47:40 mx1 postfix/smtpd[7]: disconnect from x ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
    assert received(made) == 0
    log.path.write_text(line)
    assert received(made) == 1
    log.path.write_text(line * 2)
    assert received(made) == 2
    assert state.stat().st_mode & 0o777 == 0o600
    assert received(made._replace(config_dir="/etc/postfix-out")) == 0
    state.write_text("{broken")
    assert received(made) == 0


def test_a_log_that_cannot_be_read_leaves_counters_as_they_were(program, instance, log, tmp_path):
    metrics = program.Metrics()
    program.tell_traffic(instance({"maillog_file": str(tmp_path)}), str(tmp_path / "state.json"), metrics)
    assert metrics.samples["log_readable"] == {(): 0}
    assert not (tmp_path / "state.json").exists()


# The digest


@pytest.fixture
def node(instance, tmp_path):
    """Make a node with a policy of its own, and tell its digest."""

    def make(name, *, host="mx1.example.com", number=1, files=(), explicit=(), master=MASTER):
        folder = tmp_path / name
        content = {
            f"domains/{number}/transport": f"bank.example smtp:[mx.bank.example]:25\n{host} local:\n",
            f"domains/{number}/transport.db": name,
            f"trust/{number}.pem": "the fleet's CA",
            f"certificates/fleet/{number}.pem": f"key of {host}",
            **dict(files),
        }
        for path, text in content.items():
            (folder / "smtp_hardening" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "smtp_hardening" / path).write_text(text)
        store = f"{folder}/smtp_hardening"
        told = [
            f"myhostname = {host}",
            f"mydestination = {host}, localhost",
            f"smtpd_tls_chain_files = {store}/certificates/fleet/{number}.pem",
            f"smtpd_tls_CAfile = {store}/trust/{number}.pem",
            f"transport_maps = hash:{store}/domains/{number}/transport",
            "smtp_tls_security_level = secure",
            f"smtp_bind_address = 192.0.2.{number}",
            *explicit,
        ]
        return instance({"myhostname": host}, told, config_dir=str(folder))._replace(entries=master.splitlines())

    return make


def test_equal_policies_have_equal_digests_whatever_host_certificate_and_number(program, node):
    one, other = node("a"), node("b", host="mx2.example.com", number=7)
    assert program.policy_digest(one) == program.policy_digest(other)
    assert re.fullmatch("[0-9a-f]{64}", program.policy_digest(one))


def test_the_order_and_blanks_of_entries_do_not_count(program, node):
    master = "\n".join(reversed(MASTER.replace(" ", "   ").splitlines()))
    assert program.policy_digest(node("a")) == program.policy_digest(node("b", master=master))


@pytest.mark.parametrize(
    "change",
    [
        {"explicit": ["smtp_tls_loglevel = 1"]},
        {"master": MASTER.replace("smtpd\n", "smtpd -o smtpd_tls_security_level=none\n")},
        {"files": {"domains/1/transport": "bank.example smtp:[mx.evil.example]:25\n"}},
        {"files": {"domains/1/transport": "bank.example smtp:[amx1.example.com]:25\n"}},
        {"files": {"domains/1/senders": "bank.example reject\n"}},
        {"files": {"trust/1.pem": "another CA"}},
    ],
    ids=["main.cf", "master.cf", "table", "table with a name like ours", "new table", "trust"],
)
def test_another_policy_has_another_digest(program, node, change):
    assert program.policy_digest(node("a")) != program.policy_digest(node("b", **change))


def test_files_that_nothing_names_do_not_count(program, node):
    other = node("b", files={"domains/2/transport": "old", "trust/3.pem": "old", "history/1/main.cf": "old"})
    assert program.policy_digest(node("a")) == program.policy_digest(other)


# Levels


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "none"}, ("none", "", "ignore")),
        ({"smtpd_tls_security_level": "", "smtpd_use_tls": "yes"}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "", "smtpd_enforce_tls": "yes"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": ""}, ("none", "", "ignore")),
        ({"smtpd_tls_wrappermode": "yes"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_req_ccert": "yes"}, ("may", "TLSv1.2", "request")),
        ({"smtpd_tls_req_ccert": "yes", "smtpd_tls_security_level": "encrypt"}, ("encrypt", "TLSv1.2", "require")),
        ({"smtpd_tls_ask_ccert": "yes"}, ("may", "TLSv1.2", "request")),
        ({"smtpd_tls_protocols": "!SSLv2, !SSLv3"}, ("may", "TLSv1", "ignore")),
        ({"smtpd_tls_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1,!TLSv1.2"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": ">=TLSv1.3"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": "TLSv1.2"}, ("may", "other", "ignore")),
        ({"smtpd_tls_protocols": ""}, ("may", "TLSv1", "ignore")),
    ],
)
def test_the_level_of_a_server_is_told_as_postfix_takes_it(program, found, expected):
    assert program.server_policy({**EFFECTIVE, **found}) == expected


def test_services_that_differ_are_told_beside_main_cf(program, instance):
    metrics = program.Metrics()
    overrides = [*OVERRIDES, "relay/unix/smtp_tls_security_level = encrypt", "relay/unix/smtp_bind_address = 192.0.2.1"]
    program.tell_policies(instance(master=SERVICES, overrides=overrides), metrics)
    servers = [dict(labels) for labels in metrics.samples["server_policy_info"]]
    assert {row["service"]: row["level"] for row in servers} == {
        "main.cf": "may",
        "smtps/inet": "encrypt",
        "submission/inet": "encrypt",
        "10031/inet": "encrypt",
    }
    clients = [dict(labels) for labels in metrics.samples["client_policy_info"]]
    assert {row["service"]: row["level"] for row in clients} == {"main.cf": "may", "relay/unix": "encrypt"}


# Certificates


def test_what_is_shown_is_told_and_keys_are_not(program, instance, issue, fleet_ca, tmp_path):
    store = tmp_path / "postfix" / "smtp_hardening"
    chain = issue()
    pem = chain.to_pem()
    for path, content in {
        "certificates/fleet/3.pem": pem,
        "certificates/both/1.pem": pem + issue(kind=("rsa", 2048), days=30).to_pem(),
        "trust/2.pem": fleet_ca[0].public_bytes(Encoding.PEM),
    }.items():
        (store / path).parent.mkdir(parents=True)
        (store / path).write_bytes(content)
    (store / "sni/1").mkdir(parents=True)
    (store / "sni/1/table").write_text(f"# made\nmx9.example.com\t{store}/certificates/both/1.pem\n")
    made = instance(
        {
            "smtpd_tls_chain_files": f"{store}/certificates/both/1.pem",
            "smtp_tls_chain_files": f"{store}/certificates/fleet/3.pem",
            "smtpd_tls_CAfile": f"{store}/trust/2.pem",
            "tls_server_sni_maps": f"hash:{store}/sni/1/table",
        }
    )
    found = program.certificates(made)
    assert [(c.use, c.name, c.key_type) for c in found] == [
        ("client", "fleet", "ecdsa"),
        ("server", "both", "ecdsa"),
        ("server", "both", "rsa"),
        ("trust", "trust", "ecdsa"),
    ]
    expires = chain.certificates[0].not_valid_after_utc
    assert found[0].not_after == expires.timestamp()
    metrics = program.Metrics()
    program.tell_certificates(found, time.time(), metrics)
    told = metrics.render()
    parsed = parse(told)
    days = {
        dict(labels)["key_type"]: value
        for (_name, labels), value in parsed["smtp_hardening_certificate_days_left"].items()
    }
    assert 29 <= days["rsa"] <= 30
    secret = re.findall(rb"^[A-Za-z0-9+/=]{20,}$", pem.split(b"PRIVATE KEY-----")[1], re.MULTILINE)
    assert secret and not [line for line in secret if line.decode() in told]


def test_a_certificate_that_is_not_shown_does_not_count(program, instance):
    made = instance({"smtpd_tls_security_level": "none", "smtpd_tls_chain_files": "/nowhere.pem"})
    assert program.certificates(made) == []


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_chain_file_that_holds_no_certificate_is_a_complaint(program, instance, tmp_path, content):
    path = tmp_path / "chain.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((OSError, ValueError)):
        program.certificates(instance({"smtpd_tls_chain_files": str(path)}))


def complaints(program, made, monkeypatch, runs=True, listeners=None):
    monkeypatch.setattr(program, "master_runs", lambda instance: runs)
    monkeypatch.setattr(program, "check_listeners", lambda instance, runs: listeners or {"smtp/inet": runs})
    metrics = program.Metrics()
    return [check for check, _text in program.check_health(made, time.time(), metrics)], metrics


def test_a_relay_that_runs_greets_and_has_a_valid_certificate_is_well(program, instance, issue, tmp_path, monkeypatch):
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    found, _metrics = complaints(program, instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"}), monkeypatch)
    assert found == []


def test_a_chain_ends_with_the_first_of_its_certificates(program, instance, issue, tmp_path):
    leaf, shorter = issue(), issue(days=10)
    (tmp_path / "chain.pem").write_bytes(leaf.to_pem() + certificates_pem(shorter.certificates))
    found = program.certificates(instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"}))
    assert [c.not_after for c in found] == [shorter.certificates[0].not_valid_after_utc.timestamp()]


def test_of_two_chains_that_look_alike_the_one_that_expires_first_is_told(program):
    chains = [program.Certificate("server", "both", "ecdsa", "mx1", moment) for moment in (1000, 2000)]
    metrics = program.Metrics()
    program.tell_certificates(chains, 0, metrics)
    assert list(metrics.samples["certificate_not_after_timestamp_seconds"].values()) == [1000]


def test_an_expired_ca_is_told_and_no_complaint(program, instance, issue, tmp_path, monkeypatch):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=100)
    path = tmp_path / "postfix" / "smtp_hardening" / "trust" / "1.pem"
    path.parent.mkdir(parents=True)
    path.write_bytes(certificates_pem(issue(now=past).certificates))
    found, metrics = complaints(program, instance({"smtpd_tls_CAfile": str(path)}), monkeypatch)
    assert found == []
    assert [value for value in metrics.samples["certificate_days_left"].values() if value < 0]


def test_an_expired_certificate_is_a_complaint(program, instance, issue, tmp_path, monkeypatch):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=100)
    (tmp_path / "chain.pem").write_bytes(issue(now=past).to_pem())
    made = instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"})
    found, metrics = complaints(program, made, monkeypatch)
    assert found == ["certificates"]
    assert [value for value in metrics.samples["certificate_days_left"].values() if -11 < value < -9]


def test_a_postfix_that_does_not_run_is_a_complaint(program, instance, monkeypatch):
    assert complaints(program, instance(), monkeypatch, runs=False)[0] == ["master", "listeners"]


def test_a_listener_that_does_not_greet_is_a_complaint(program, instance, monkeypatch):
    found, metrics = complaints(program, instance(), monkeypatch, listeners={"smtp/inet": True, "587/inet": False})
    assert found == ["listeners"]
    assert metrics.samples["listener_up"] == {(("service", "smtp/inet"),): True, (("service", "587/inet"),): False}


# Listeners


@pytest.fixture
def speak(serving):
    """Start a listener that says something to everybody, and keeps what it hears."""

    def start(says, context=None):
        class Dialogue(socketserver.BaseRequestHandler):
            def handle(self):
                sock = context.wrap_socket(self.request, server_side=True) if context else self.request
                sock.sendall(says)
                self.server.heard.append(sock.recv(1000))

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        server.daemon_threads, server.heard = True, []
        return serving(server)

    return start


def greets(program, instance, server, **effective):
    made = instance(effective)
    service = program.Service(f"127.0.0.1:{server.server_address[1]}", "inet", "smtpd", {})
    return program.greets(service, made)


@pytest.mark.parametrize(
    ("says", "up"),
    [
        (b"220 mx1.example.com ESMTP\r\n", True),
        (b"220-mx1.example.com\r\n220 mx1.example.com ESMTP\r\n", True),
        (b"220-mx1.example.com\r\n421 4.3.2 Service not available\r\n", False),
        (b"421 4.3.2 Service not available\r\n", False),
        (b"554 5.7.1 no\r\n", False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
    ],
)
def test_a_listener_is_up_when_it_says_220(program, instance, speak, says, up):
    server = speak(says)
    assert greets(program, instance, server) is up
    assert server.heard == [b"QUIT\r\n"]


def test_a_listener_in_wrapper_mode_greets_over_tls(program, instance, speak, issue, tmp_path):
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    server = speak(b"220 mx1.example.com ESMTP\r\n", context)
    assert greets(program, instance, server, smtpd_tls_wrappermode="yes") is True
    assert greets(program, instance, speak(b"421 no\r\n", context), smtpd_tls_wrappermode="yes") is False
    turned_away = {"smtpd_tls_wrappermode": "yes", "smtpd_tls_req_ccert": "yes"}
    assert greets(program, instance, speak(b"421 no\r\n", context), **turned_away) is True


def test_a_listener_behind_a_proxy_is_spoken_to_as_the_proxy_does(program, instance, speak):
    server = speak(b"220 mx1.example.com ESMTP\r\n")
    assert greets(program, instance, server, smtpd_upstream_proxy_protocol="haproxy") is True
    assert server.heard[0].startswith(b"PROXY TCP4 ")


def test_nobody_at_a_port_is_not_up(program, instance):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = program.Service(f"127.0.0.1:{port}", "inet", "smtpd", {})
    assert program.greets(service, instance()) is False


def test_a_listener_that_says_nothing_is_not_up(program, instance, monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = program.Service(f"127.0.0.1:{silent.getsockname()[1]}", "inet", "smtpd", {})
        assert program.greets(service, instance()) is False


@pytest.mark.parametrize(
    ("name", "found", "host"),
    [
        ("smtp", {}, "127.0.0.1"),
        ("smtp", {"inet_protocols": "ipv6"}, "::1"),
        ("smtp", {"inet_interfaces": "192.0.2.1, 192.0.2.2"}, "192.0.2.1"),
        ("smtp", {"inet_interfaces": "192.0.2.1 127.0.0.1"}, "127.0.0.1"),
        ("192.0.2.9:25", {}, "192.0.2.9"),
        ("[::1]:25", {}, "::1"),
    ],
)
def test_a_listener_is_asked_where_it_listens(program, name, found, host):
    assert program.listener_host(program.Service(name, "inet", "smtpd", {}), {**EFFECTIVE, **found}) == host


# The queue


def test_messages_are_counted_by_queue_and_the_oldest_deferred_one_is_known_by_its_arrival(program, instance, tmp_path):
    spool = tmp_path / "spool"
    for folder in ("active", "deferred/9", "deferred/A", "hold"):
        (spool / folder).mkdir(parents=True)
    head = b"C_            265             246               1               0             265               0"
    (spool / "deferred/9/9B1B51BC6C3").write_bytes(head + b"T\x111795560604 377388A\x16create_time=1795560604")
    (spool / "deferred/A/A1").write_bytes(head + b"T\x111795560500 377388A\x16create_time=1795560500")
    (spool / "active/B1").touch()
    metrics = program.Metrics()
    program.tell_queue(instance(), 1795560700, metrics)
    counts = {dict(labels)["queue"]: n for labels, n in metrics.samples["queue_messages"].items()}
    assert counts == {"maildrop": 0, "incoming": 0, "active": 1, "deferred": 2, "hold": 0, "corrupt": 0}
    assert metrics.samples["oldest_deferred_message_age_seconds"] == {(): 200}


@pytest.mark.parametrize("content", [None, b"", struct.pack("200x")])
def test_a_queue_file_that_is_gone_or_none_has_no_arrival(program, tmp_path, content):
    if content is not None:
        (tmp_path / "A1").write_bytes(content)
    assert program.arrival(str(tmp_path / "A1")) is None


# How it is told

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = r"[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'


def parse(text):
    """The samples of a text file by family; every rule of the text format (0.0.4) must be kept."""
    assert text.endswith("\n")
    families, kinds, current = {}, {}, None
    for line in text.splitlines():
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if comment and comment[1] == "HELP":
            assert comment[2] not in families, "a family is told once, in one piece"
            current = comment[2]
            families[current] = {}
            continue
        if comment:
            assert comment[2] == current and not families[current] and current not in kinds
            assert comment[3] in ("gauge", "counter")
            kinds[current] = comment[3]
            assert (comment[3] == "counter") == current.endswith("_total")
            continue
        sample = re.fullmatch(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({VALUE})", line)
        assert sample, line
        labels = tuple(re.findall(LABEL, sample[2] or ""))
        assert sample[1] == current and current in kinds
        assert len({name for name, _value in labels}) == len(labels)
        key = (current, labels)
        assert key not in families[current], line
        families[current][key] = float(sample[sample.lastindex])
    assert set(kinds) == set(families)
    return families


def test_a_file_is_as_prometheus_wants_it(program):
    metrics = program.Metrics()
    metrics.add("certificate_days_left", 1.23456, subject='a "b" \\ c\nd', use="server")
    metrics.add("certificate_days_left", -3, subject="mx1", use="server")
    metrics.add("expired_messages_total", 12345678901234)
    metrics.add("healthy", True)
    parsed = parse(metrics.render())
    assert parsed["smtp_hardening_healthy"] == {("smtp_hardening_healthy", ()): 1}
    subject = r"a \"b\" \\ c\nd"
    labels = (("subject", subject), ("use", "server"))
    assert parsed["smtp_hardening_certificate_days_left"]["smtp_hardening_certificate_days_left", labels] == 1.235
    assert list(parsed["smtp_hardening_expired_messages_total"].values()) == [12345678901234]


@pytest.fixture
def run(program, monkeypatch, tmp_path):
    """Run the program for a configuration directory: its exit status, and what it tells."""

    def start(config_dir):
        output = tmp_path / "out" / "smtp.prom"
        output.parent.mkdir(exist_ok=True)
        options = ["--config-dir", config_dir, "--output", str(output), "--state", str(tmp_path / "state.json")]
        monkeypatch.setattr("sys.argv", ["smtp-metrics", *options])
        code = program.main()
        assert os.listdir(output.parent) == ["smtp.prom"]
        assert output.stat().st_mode & 0o777 == 0o644
        return code, parse(output.read_text())

    return start


def value(parsed, name, **labels):
    return parsed[f"smtp_hardening_{name}"][f"smtp_hardening_{name}", tuple(labels.items())]


@pytest.fixture
def shown(issue, tmp_path):
    """A certificate to show, in a file."""
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    return f"{tmp_path}/chain.pem"


def test_a_whole_run_tells_everything_and_that_all_is_well(program, instance, shown, run, monkeypatch):
    effective = {"maillog_file": f"{shown}.log", "smtpd_tls_chain_files": shown}
    monkeypatch.setattr(program, "read_instance", lambda config_dir: instance(effective, ["myhostname = mx1"]))
    monkeypatch.setattr(program, "master_runs", lambda made: True)
    monkeypatch.setattr(program, "greets", lambda service, made: True)
    code, parsed = run("/etc/postfix/")
    assert code == 0
    assert value(parsed, "healthy") == 1
    assert value(parsed, "listener_up", service="smtp/inet") == 1
    assert value(parsed, "log_readable") == 1
    unseen = {"would_refuse_in_total", "refused_in_total", "local_recipients_total"}  # until there is one
    assert {f"smtp_hardening_{name}" for name in set(program.FAMILIES) - unseen} == set(parsed)


def test_a_postfix_that_is_not_there_is_unhealthy_and_the_file_says_so(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, parsed = run(str(tmp_path / "postfix"))
    assert code == 1
    assert value(parsed, "healthy") == 0
    assert value(parsed, "check_healthy", check="configuration") == 0
    assert "cannot be read" in capsys.readouterr().err


def test_a_file_is_whole_or_the_old_one(program, tmp_path, monkeypatch):
    path = tmp_path / "x.prom"
    program.write(str(path), "old\n", 0o644)

    def fail(*_names):
        raise OSError("no space")

    monkeypatch.setattr(program.os, "replace", fail)
    with pytest.raises(OSError):
        program.write(str(path), "new\n", 0o644)
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["x.prom"]


def test_entries_that_are_disabled_are_no_listeners(program, monkeypatch):
    answers = {
        "-M": "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd -o syslog_name=postfix/submission\n",
        "-Px": "submission/inet/syslog_name = postfix/submission\n",
        "-x": "master_service_disable = submission.inet\nsyslog_name = postfix\n",
        "-n": "",
    }

    def answer(argv, **_options):
        return program.subprocess.CompletedProcess(argv, 0, answers[argv[-1]], "")

    monkeypatch.setattr(program.subprocess, "run", answer)
    assert [service.key for service in program.read_instance("/etc/postfix").services] == ["smtp/inet"]
