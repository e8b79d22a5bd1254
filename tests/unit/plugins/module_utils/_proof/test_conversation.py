# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import smtplib
import socket
import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import Protocol
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.conversation import (
    Conversation,
    Target,
    unverified,
    verifying,
)


def target(server, **over):
    return Target(**{"address": "127.0.0.1", "port": server.port, "name": "mx1.example.com", **over})


@pytest.mark.parametrize(
    ("address", "text"),
    [("192.0.2.1", "192.0.2.1:25"), ("2001:db8::1", "[2001:db8::1]:25"), ("mx.example", "mx.example:25")],
)
def test_a_target_is_written_as_openssl_takes_it(address, text):
    assert str(Target(address, 25, "mx.example")) == text


@pytest.mark.parametrize(("level", "offers"), [("none", False), ("may", True), ("encrypt", True)])
def test_a_listener_offers_starttls_or_does_not(listen, level, offers):
    with Conversation(target(listen(level=level))) as conversation:
        assert conversation.offers_starttls is offers


def test_a_conversation_sends_no_message(listen):
    server = listen()
    with Conversation(target(server)) as conversation:
        assert conversation.mail_from() == (250, "2.1.0 Ok")
    assert server.heard == ["EHLO PROOF.INVALID", "MAIL FROM:<>", "RSET", "QUIT"]


@pytest.mark.parametrize(
    ("refused", "name"),
    [
        ((), "PROOF.INVALID"),
        (("PROOF.INVALID",), "[127.0.0.1]"),
        (("PROOF.INVALID", "[127.0.0.1]"), "MX1.EXAMPLE.COM"),
    ],
)
def test_a_client_whose_name_is_refused_introduces_itself_otherwise(listen, refused, name):
    server = listen()
    server.refused_names = refused
    with Conversation(target(server)) as conversation:
        assert conversation.offers_starttls
    assert [heard for heard in server.heard if heard.startswith("EHLO")][-1] == f"EHLO {name}"


def test_a_client_whose_every_name_is_refused_says_how(listen):
    server = listen()
    server.refused_names = ("PROOF.INVALID", "[127.0.0.1]", "MX1.EXAMPLE.COM")
    with pytest.raises(smtplib.SMTPResponseException) as refusal:
        Conversation(target(server))
    assert refusal.value.args == (450, b"4.7.1 Helo command rejected: Host not found")


def test_what_was_offered_before_tls_is_forgotten(listen):
    with Conversation(target(listen(level="encrypt"))) as conversation:
        assert conversation.mail_from()[0] == 530
        sock = conversation.starttls(unverified())
        assert sock.version() == "TLSv1.3"
        assert not conversation.offers_starttls
        conversation.ehlo()
        assert not conversation.offers_starttls
        assert conversation.mail_from()[0] == 250


def test_implicit_tls_begins_before_the_greeting(listen):
    server = listen(implicit_tls=True)
    with Conversation(target(server, implicit_tls=True), unverified()) as conversation:
        conversation.ehlo()
        assert conversation.mail_from()[0] == 250
    assert server.heard[-1] == "QUIT"


def test_a_listener_that_is_not_there_cannot_be_talked_to():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            Conversation(Target("127.0.0.1", closed.getsockname()[1], "mx1.example.com"))


def test_starttls_that_is_refused_is_quoted(listen):
    server = listen()
    with Conversation(target(server)) as conversation:
        conversation.smtp.docmd = lambda command: (454, b"4.7.0 TLS not available due to local problem")
        with pytest.raises(smtplib.SMTPResponseException) as refusal:
            conversation.starttls(unverified())
    assert refusal.value.smtp_code == 454


@pytest.mark.parametrize("protocol", [Protocol.TLS_1_2, Protocol.TLS_1_3])
def test_a_context_speaks_one_version_only(listen, protocol):
    with Conversation(target(listen())) as conversation:
        assert conversation.starttls(unverified(protocol)).version() == protocol.value


@pytest.mark.parametrize(
    ("made", "name", "verified"),
    [
        ({}, "mx1.example.com", True),
        ({}, "mx2.example.com", False),
        ({"names": ["*.example.com"]}, "mx2.example.com", True),
        ({"by": "itself"}, "mx1.example.com", False),
    ],
)
def test_a_certificate_is_verified_for_its_name_by_the_ca_that_is_given(
    listen, issue, tmp_path, *, made, name, verified
):
    server = listen(chain=issue(**made))
    with Conversation(target(server, name=name)) as conversation:
        context = verifying(str(tmp_path / "fleet-ca.pem"))
        if verified:
            assert conversation.starttls(context).getpeercert()
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                conversation.starttls(context)
