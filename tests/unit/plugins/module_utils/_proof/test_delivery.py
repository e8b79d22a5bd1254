# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.delivery import (
    Delivery,
    deliver,
    follow,
)

LOG = """\
Nov 24 10:00:00 mx1 postfix/pickup[10]: AAAA: uid=0 from=<probe>
Nov 24 10:00:00 mx1 postfix/cleanup[11]: AAAA: message-id=<one@mx1>
Nov 24 10:00:00 mx1 postfix/cleanup[11]: BBBB: message-id=<two@mx1>
Nov 24 10:00:00 mx1 postfix/smtp[20]: Verified TLS connection established to mx2[192.0.2.2]:25: TLSv1.3 with cipher X
Nov 24 10:00:00 mx1 postfix/smtp[20]: AAAA: to=<a@mx2>, relay=mx2[192.0.2.2]:25, delay=1, dsn=2.0.0, status=sent (250 Ok)
Nov 24 10:00:01 mx1 postfix/smtp[21]: BBBB: to=<b@mx3>, relay=mx3[192.0.2.3]:25, delay=1, dsn=4.7.5, status=deferred (Server certificate not verified)
""".splitlines()


def test_a_message_is_followed_to_its_end_with_its_tls_line():
    one, two = Delivery("a@mx2", "one@mx1"), Delivery("b@mx3", "two@mx1")
    follow([one, two], LOG)
    assert (one.queue_id, one.status, one.tls) == ("AAAA", "sent", "Verified")
    assert (two.queue_id, two.status, two.tls) == ("BBBB", "deferred", None)
    assert two.reply == "Server certificate not verified"


def test_a_message_without_an_end_has_no_status():
    lost = Delivery("a@mx2", "one@mx1")
    follow([lost], LOG[:3])
    assert (lost.queue_id, lost.status) == ("AAAA", None)


@pytest.mark.parametrize(
    ("line", "trust"),
    [
        ("Verified TLS connection established to mx2[192.0.2.2]:25: TLSv1.3 with cipher X", "Verified"),
        ("Trusted TLS connection established to mx2[192.0.2.2]:25: TLSv1.3 with cipher X", "Trusted"),
        ("Untrusted TLS connection established to mx2[192.0.2.2]:25: TLSv1.2 with cipher X", "Untrusted"),
        ("Anonymous TLS connection established to mx2[192.0.2.2]:25: TLSv1.2 with cipher X", "Anonymous"),
        ("Verified TLS connection reused to mx2[192.0.2.2]:25: TLSv1.3 with cipher X", "Verified"),
        ("Verified TLS connection established to mx9[192.0.2.9]:25: TLSv1.3 with cipher X", None),
    ],
)
def test_a_delivery_is_as_trusted_as_the_connection_to_its_relay(line, trust):
    delivery = Delivery("a@mx2", "one@mx1")
    follow([delivery], [*LOG[:2], f"Nov 24 10:00:00 mx1 postfix/smtp[20]: {line}", LOG[4]])
    assert (delivery.status, delivery.tls) == ("sent", trust)


@pytest.mark.parametrize("instance", ["postfix", "postfix-out"])
def test_each_instance_logs_under_a_name_of_its_own(instance):
    delivery = Delivery("a@mx2", "one@mx1")
    follow([delivery], [line.replace("postfix/", f"{instance}/") for line in LOG])
    assert delivery.relay == "mx2[192.0.2.2]:25"


def test_a_bounce_that_never_left_the_node_has_no_tls():
    delivery = Delivery("x@nowhere.example", "one@mx1")
    bounce = "mx1 postfix/error[30]: AAAA: to=<x@nowhere.example>, relay=none, delay=0, dsn=5.4.4, status=bounced (no)"
    follow([delivery], [LOG[1], bounce])
    assert (delivery.status, delivery.relay, delivery.tls) == ("bounced", "none", None)


def test_a_message_goes_through_the_nodes_own_queue_and_the_log_tells_its_end(node, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text("an old line\n")
    node.write(f"maillog_file = {log}\n")
    sent = []

    def run(argv, stdin=None):
        if argv[0] != "sendmail":
            return node.run(argv, stdin)
        sent.append((argv, stdin))
        message = next(line for line in stdin.splitlines() if line.startswith("Message-ID: ")).partition("<")[2][:-1]
        with log.open("a") as handle:
            handle.write("\n".join(line.replace("one@mx1", message) for line in LOG) + "\n")
        return Completed(0, "", "")

    postfix = Postfix(run, node.config_dir)
    (delivery,) = deliver(postfix, read_state(postfix), "postmaster@mx1", ["a@mx2"], 0)
    assert (delivery.status, delivery.tls) == ("sent", "Verified")
    ((argv, message),) = sent
    assert argv == ["sendmail", "-C", node.config_dir, "-i", "-f", "postmaster@mx1", "--", "a@mx2"]
    assert "To: <a@mx2>\n" in message


def test_a_message_that_sendmail_refuses_is_told(node, tmp_path):
    node.write(f"maillog_file = {tmp_path / 'mail.log'}\n")

    def run(argv, stdin=None):
        return Completed(65, "", "queue is full\n") if argv[0] == "sendmail" else node.run(argv, stdin)

    postfix = Postfix(run, node.config_dir)
    with pytest.raises(PostfixError, match="^sendmail does not take the message to a@mx2: queue is full.$"):
        deliver(postfix, read_state(postfix), "postmaster@mx1", ["a@mx2"], 0)


AFTER_THAT = "relay=mx2[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"AAAA: to=<a@mx2>, {AFTER_THAT} (host mx2 said: 450 later, status=sent (250 ok))", "deferred"),
        (
            f"AAAA: to=<a@mx2>, {AFTER_THAT} (450 AAAA: to=<a@mx2>, relay=x, delay=1, dsn=2.0.0, status=sent (ok))",
            "deferred",
        ),
        (f'AAAA: to=<"a>, status=sent (x)"@mx2>, {AFTER_THAT} (450 no)', "deferred"),
        (f"AAAA: to=<a@mx2>, orig_to=<root>, {AFTER_THAT} (450 no)", "deferred"),
        ("AAAA: host mx2[192.0.2.2] said: 450 to=<a@mx2>, relay=x, delay=1, dsn=2.0.0, status=sent (ok)", None),
        ("CCCC: to=<a@mx2>, relay=mx2[192.0.2.2]:25, delay=1, dsn=2.0.0, status=sent (AAAA)", None),
    ],
)
def test_what_a_peer_says_is_never_taken_for_what_postfix_says(text, status):
    delivery = Delivery("a@mx2", "one@mx1")
    follow([delivery], [LOG[1], f"Nov 24 10:00:00 mx1 postfix/smtp[20]: {text}"])
    assert delivery.status == status


@pytest.mark.parametrize(
    "line",
    [
        "mx1 postfix/smtpd[9]: NOQUEUE: reject: helo=<mx1 postfix/smtp[20]: AAAA: to=<a@mx2>, relay=x, delay=1, dsn=2.0.0, status=sent (ok)>",
        "mx1 postfix/smtpd[9]: AAAA: to=<a@mx2>, relay=x, delay=1, dsn=2.0.0, status=sent (ok)",
        "mx1 smtp-policy[9]: AAAA: to=<a@mx2>, relay=x, delay=1, dsn=2.0.0, status=sent (ok)",
    ],
)
def test_a_line_of_another_program_ends_no_delivery(line):
    delivery = Delivery("a@mx2", "one@mx1")
    follow([delivery], [LOG[1], line])
    assert delivery.status is None


def test_a_message_that_comes_back_with_the_same_message_id_is_another_message():
    delivery = Delivery("a@mx2", "one@mx1")
    follow([delivery], [LOG[1], LOG[1].replace("AAAA", "DDDD"), LOG[4].replace("AAAA", "DDDD")])
    assert (delivery.queue_id, delivery.status) == ("AAAA", None)
