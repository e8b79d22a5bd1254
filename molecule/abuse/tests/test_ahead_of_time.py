# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said before its time, above all in plaintext before TLS, is not obeyed."""

import pytest
from mail import wait_for
from wire import UNKNOWN, Client, codes
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
OUT_OF_SYNC = "554 5.5.0 Error: SMTP protocol synchronization"


@pytest.mark.parametrize(
    "early",
    [b"EHLO client.elsewhere.test\r\nNOOP\r\n", b"NOOP\r\nNOOP\r\n", b"DATA\r\nSubject: early\r\n\r\n.\r\n"],
)
def test_who_does_not_wait_for_an_answer_is_turned_away(relay, early):
    """RFC 2920 section 3.1: these commands end a group."""
    with Client(NODE) as client:
        client.ask(*client.envelope())
        client.send(early)
        assert client.replies() == [OUT_OF_SYNC]


def speaks_first():
    with Client(NODE, greeted=False) as client:
        client.send(b"EHLO client.elsewhere.test\r\n")
        return client.reply()


def test_who_speaks_before_the_greeting_is_turned_away(relay):
    """Now and then the greeting is the faster one."""
    assert wait_for(lambda: speaks_first() == OUT_OF_SYNC)


# Plaintext before TLS (CVE-2011-0411).

INJECTED = [
    b"MAIL FROM:<injected@elsewhere.test>\r\nRCPT TO:<probe@node1.fleet.test>\r\n",
    b"EHLO injected.elsewhere.test\r\n",
    b"AUTH PLAIN AGluamVjdGVkAGluamVjdGVk\r\n",
    b"STARTTLS\r\n",
    b"NOOP\r\n" * 1000,
]


@pytest.mark.parametrize("injected", INJECTED, ids=["envelope", "ehlo", "auth", "starttls", "many"])
def test_what_is_injected_behind_starttls_is_not_obeyed_inside_tls(relay, injected):
    """Its answers would come before those to what the client says then. Too much of it spoils the handshake."""
    with Client(NODE) as client:
        client.send(b"STARTTLS\r\n" + injected)
        assert client.reply().startswith("220")
        if client.shake_hands():
            client.send(b"UNHEARD-OF\r\nRCPT TO:<probe@node1.fleet.test>\r\nQUIT\r\n")
            unheard_of, *more = codes(client.replies())
            assert unheard_of in UNKNOWN and more == ["503", "221"]


def test_what_is_injected_once_tls_is_awaited_spoils_the_handshake(relay):
    with Client(NODE) as client:
        assert client.ask(b"STARTTLS").startswith("220")
        client.send(INJECTED[0])
        assert not client.shake_hands()


def test_what_was_said_before_tls_is_forgotten(relay):
    """RFC 3207 section 4.2."""
    with Client(NODE) as client:
        client.ask(*client.envelope())
        assert client.start_tls()
        assert client.ask(b"DATA").startswith("503")
        assert client.ask(client.envelope()[0]).startswith("503"), "no EHLO yet"


def test_starttls_inside_tls_is_refused(relay):
    with Client(NODE) as client:
        assert client.start_tls()
        assert "STARTTLS" not in client.ask(b"EHLO client.elsewhere.test")
        assert client.ask(b"STARTTLS").startswith("554 5.5.1")
