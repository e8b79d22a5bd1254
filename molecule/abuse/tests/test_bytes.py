# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes that are no text, and names that are none."""

import pytest
from wire import Client, client_hello, message
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<\xff\xfe@elsewhere.test>",
        b"\xff\xfd\x01\xff\xfb\x1f",
        bytes(range(1, 10)) * 100,
        b"\0" * 1000,
        b"MAIL FROM:<a\0@elsewhere.test>",
        b"{\xc0\xaf}",
        client_hello(),
    ],
    ids=["not-utf-8", "telnet", "control", "nul", "nul-in-address", "overlong", "tls-without-starttls"],
)
def test_binary_junk_is_no_command(relay, line):
    with Client(NODE) as client:
        client.send(line + b"\r\nQUIT\r\n")
        assert not any(reply.startswith(("250", "354")) for reply in client.replies())


def test_a_message_with_nul_is_refused(relay):
    """RFC 5322 section 2.2."""
    with Client(NODE) as client:
        assert client.data(message("nul", b"a\0b")).startswith("550")


def test_eight_bits_in_the_text_are_no_harm(relay, mark):
    with Client(NODE) as client:
        assert client.data(message(mark, bytes(range(0x80, 0x100)) * 100)).startswith("250")
    assert relay.stored() == [mark]


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"a" * 2000,
        b"a." * 500 + b"test",
        b"[1.2.3",
        b"\xff\xff",
        b"a b.test",
        b"-",
        b"a\x1b[2J.test",
        b"localhost",
    ],
)
def test_who_has_no_proper_name_delivers_nothing(relay, name):
    with Client(NODE, greeted=False) as client:
        client.reply()
        assert client.ask(b"EHLO " + name, *client.envelope()).startswith("5")


def test_who_does_not_say_a_name_delivers_nothing(relay):
    with Client(NODE, greeted=False) as client:
        client.reply()
        assert client.ask(client.envelope()[0]).startswith("503")
