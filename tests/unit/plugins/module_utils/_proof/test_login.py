# SPDX-License-Identifier: GPL-3.0-or-later
"""When a name and a password are tried at all; that servers take or refuse them is seen on nodes (molecule/relay)."""

from __future__ import annotations

import base64
import smtplib
import time
from contextlib import contextmanager

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import login
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.connection import Target
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.login import Login, log_in
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.rehearsal import Question

CREDENTIALS = "ann:of:her own"


def question(next_hop="[smtp.example]:587", level="secure", match=("nexthop",), **over):
    parameters = {"smtp_tls_wrappermode": "yes"} if over.pop("implicit_tls", False) else {}
    return Question(ClientLevel(level), next_hop, parameters, "", "", match, **over)


def given(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


class Smtp:
    """A server's answers to AUTH: these, and then that it was taken."""

    def __init__(self, offered, *answers):
        self.esmtp_features, self.answers, self.heard = {"auth": offered} if offered else {}, list(answers), []

    def docmd(self, command, words=""):
        self.heard.append(f"{command} {words}".strip())
        answer = self.answers.pop(0) if self.answers else (235, b"2.7.0 ok")
        return given(answer)


@pytest.fixture
def talk(monkeypatch):
    """Log in at a server that answers so; what was said to whom."""

    def talking(asked, smtp, credentials=CREDENTIALS):
        seen = []

        @contextmanager
        def conversation(target, context):
            seen.append(target)
            yield Talk(smtp)

        monkeypatch.setattr(login, "Conversation", conversation)
        monkeypatch.setattr(login, "verifying", lambda ca_file, ca_path: None)
        return log_in(asked, credentials), seen

    return talking


class Talk:
    def __init__(self, smtp):
        self.smtp = smtp

    def starttls(self, context):
        pass

    def ehlo(self):
        pass


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (question(), Target("smtp.example", 587, "smtp.example")),
        (question("[smtp.example]"), Target("smtp.example", 25, "smtp.example")),
        (question("[smtp.example]:465", implicit_tls=True), Target("smtp.example", 465, "smtp.example", True)),
        (question(level="verify", match=("hostname",)), Target("smtp.example", 587, "smtp.example")),
        (question(match=("dot-nexthop", ".example", "mx.example")), Target("smtp.example", 587, "mx.example")),
        (question(servername="nexthop"), Target("smtp.example", 587, "smtp.example")),
        (question(match=("mx.example", "b.example"), servername="b.example"), Target("smtp.example", 587, "b.example")),
    ],
)
def test_a_host_is_held_to_the_name_that_its_certificate_must_have(talk, asked, target):
    assert talk(asked, Smtp("PLAIN LOGIN")) == (Login(True), [target])


@pytest.mark.parametrize(
    "asked",
    [
        question(level="encrypt"),
        question(level="dane-only"),
        question(level="fingerprint"),
        question("smtp.example:587"),
        question(match=("dot-nexthop",)),
        question(match=(".example",)),
        question(servername="other.example"),
        question(lmtp=True),
    ],
)
def test_where_a_name_cannot_be_held_to_no_password_is_sent(talk, asked):
    seen, targets = talk(asked, Smtp("PLAIN"))
    assert (seen.accepted, targets) == (None, [])
    assert "was not tried" in seen.reason


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


GO_ON = (334, b"")
CHALLENGE = (334, b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")
"""That of RFC 2195."""


@pytest.mark.parametrize(
    ("offered", "credentials", "answers", "heard"),
    [
        ("plain login", "ann:of:her own", [GO_ON], ["AUTH PLAIN", base64_of("\0ann\0of:her own")]),
        ("PLAIN", "änn:p€w", [GO_ON], ["AUTH PLAIN", base64_of("\0änn\0p€w")]),
        ("LOGIN CRAM-MD5", "ann:p€w", [GO_ON, GO_ON], ["AUTH LOGIN", base64_of("ann"), base64_of("p€w")]),
        (
            "XOAUTH2 CRAM-MD5",
            "tim:tanstaaftanstaaf",
            [CHALLENGE],
            ["AUTH CRAM-MD5", base64_of("tim b913a602c7eda7a495b4e6e7334d3890")],
        ),
    ],
)
def test_one_mechanism_is_tried_once_in_the_octets_that_postfix_sends(talk, offered, credentials, answers, heard):
    smtp = Smtp(offered, *answers)
    assert talk(question(), smtp, credentials)[0] == Login(True)
    assert smtp.heard == heard


@pytest.mark.parametrize(("offered", "said"), [("", "none at all"), ("XOAUTH2 GSSAPI", "XOAUTH2 GSSAPI")])
def test_a_server_that_offers_no_login_is_no_refusal(talk, offered, said):
    seen, _targets = talk(question(), Smtp(offered))
    assert seen == Login(None, f"no login is offered that is known here ({said})")


ECHO = base64_of("\0ann\0of:her own")


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ([(535, b"5.7.8 no")], Login(False, "535 5.7.8")),
        ([GO_ON, (535, f"5.7.8 you said {ECHO}".encode())], Login(False, "535 5.7.8")),
        ([GO_ON, (535, f"{ECHO} \x1b[31m\n".encode() * 5000)], Login(False, "535")),
        ([GO_ON, (454, f"4.7.0 {ECHO}".encode())], Login(None, "454 4.7.0")),
        ([GO_ON, (334, f"{ECHO}".encode())], Login(None, "334")),
        ([smtplib.SMTPResponseException(554, b"5.7.1 too many connections")], Login(None, "554 before the login")),
        ([smtplib.SMTPServerDisconnected("gone")], Login(None, "gone")),
        ([OSError("unreachable")], Login(None, "unreachable")),
    ],
)
def test_only_a_refusal_of_the_login_for_good_is_one_and_of_what_a_server_says_the_numbers_are_told(
    talk, answers, seen
):
    assert talk(question(), Smtp("PLAIN", *answers))[0] == seen


def test_a_server_that_comes_to_no_end_is_left_in_time(monkeypatch):
    def endless(target, context):
        time.sleep(60)

    monkeypatch.setattr(login, "LONGEST", 0.1)
    monkeypatch.setattr(login, "Conversation", endless)
    monkeypatch.setattr(login, "verifying", lambda ca_file, ca_path: None)
    assert log_in(question(), CREDENTIALS) == Login(None, "the login took longer than 0 seconds")
