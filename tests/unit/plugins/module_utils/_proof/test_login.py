# SPDX-License-Identifier: GPL-3.0-or-later
"""When a name and a password are tried at all; that servers take or refuse them is seen on nodes (molecule/relay)."""

from __future__ import annotations

import smtplib
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


class Smtp:
    """A server's answer to AUTH."""

    user = password = None

    def __init__(self, offered, problem=None):
        self.esmtp_features, self.problem, self.tried = {"auth": offered} if offered else {}, problem, []

    def auth(self, mechanism, method):
        self.tried.append((mechanism, method.__name__, self.user, self.password))
        if self.problem:
            raise self.problem

    def docmd(self, command, words):
        self.tried.append((command, words))
        return (535, b"5.7.8 no") if self.problem else (235, b"2.7.0 yes")

    def auth_plain(self):
        raise AssertionError

    auth_login = auth_cram_md5 = auth_plain


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


@pytest.mark.parametrize(
    ("offered", "mechanism", "method"),
    [
        ("plain login", "PLAIN", "auth_plain"),
        ("LOGIN CRAM-MD5", "LOGIN", "auth_plain"),
        ("XOAUTH2 CRAM-MD5", "CRAM-MD5", "auth_plain"),
    ],
)
def test_one_mechanism_is_tried_once(talk, offered, mechanism, method):
    smtp = Smtp(offered)
    talk(question(), smtp)
    assert smtp.tried == [(mechanism, method, "ann", "of:her own")]


@pytest.mark.parametrize(("offered", "said"), [("", "none at all"), ("XOAUTH2 GSSAPI", "XOAUTH2 GSSAPI")])
def test_a_server_that_offers_no_login_is_no_refusal(talk, offered, said):
    seen, _targets = talk(question(), Smtp(offered))
    assert seen == Login(None, f"no login is offered that is known here ({said})")


@pytest.mark.parametrize(
    ("problem", "seen"),
    [
        (smtplib.SMTPAuthenticationError(535, b"5.7.8 no"), Login(False, "535 5.7.8 no")),
        (smtplib.SMTPAuthenticationError(454, b"4.7.0 later"), Login(None, "454 4.7.0 later")),
        (smtplib.SMTPServerDisconnected("gone"), Login(None, "gone")),
        (OSError("unreachable"), Login(None, "unreachable")),
    ],
)
def test_only_a_refusal_for_good_is_one(talk, problem, seen):
    assert talk(question(), Smtp("PLAIN", problem))[0] == seen


UMLAUT = "\u00e4nn:gr\u00fcn"


@pytest.mark.parametrize(("problem", "seen"), [(None, Login(True)), (True, Login(False, "535 5.7.8 no"))])
def test_what_is_not_ascii_is_sent_in_utf_8(talk, problem, seen):
    smtp = Smtp("LOGIN PLAIN", problem)
    assert talk(question(), smtp, UMLAUT)[0] == seen
    assert smtp.tried == [("AUTH", "PLAIN AMOkbm4AZ3LDvG4=")]


def test_what_is_not_ascii_is_tried_by_no_other_mechanism_and_told_nowhere(talk):
    smtp = Smtp("LOGIN CRAM-MD5")
    seen, _targets = talk(question(), smtp, UMLAUT)
    assert (seen.accepted, smtp.tried) == (None, []) and "PLAIN is tried alone" in seen.reason and seen.reason.isascii()
