# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that nobody needs, and envelopes that are not to the letter."""

import pytest
from wire import UNKNOWN, Client
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
UNNEEDED = {
    b"VRFY probe": {"502"},
    b"EXPN probe": UNKNOWN,
    b"ETRN node1.fleet.test": {"554"},
    b"TURN": UNKNOWN,
    b"ATRN node1.fleet.test": UNKNOWN,
    b"DEBUG": UNKNOWN,
    b"WIZ": UNKNOWN,
    b"SEND FROM:<somebody@elsewhere.test>": UNKNOWN,
    b"XADR probe": UNKNOWN,
    b"AUTH PLAIN AGEAYg==": {"503"},
    b"GET / HTTP/1.1": {"221"},
    b"POST / HTTP/1.1": {"221"},
    b"CONNECT stranger.test:25 HTTP/1.1": {"221"},
    b"Subject: a form that a browser sends": {"221"},
}


@pytest.mark.parametrize(("command", "expected"), UNNEEDED.items())
def test_an_unneeded_command_is_refused(relay, command, expected):
    with Client(NODE) as client:
        code = client.ask(command)[:3]
        assert code in expected
        assert (client.ask(b"NOOP") == "") == (code == "221")


def test_unneeded_commands_are_not_announced(relay):
    with Client(NODE) as client:
        announced = client.ask(b"EHLO client.elsewhere.test").replace("\r", "").split("\n")[1:]
    assert {line[4:].split(" ")[0] for line in announced} & {"VRFY", "EXPN", "ETRN", "TURN", "XCLIENT", "AUTH"} == set()


@pytest.mark.parametrize(
    "command",
    [
        b"MAIL FROM:a@elsewhere.test",
        b"MAIL FROM: a@elsewhere.test",
        b"MAIL FROM:Somebody <a@elsewhere.test>",
        b"MAIL FROM:(comment) <a@elsewhere.test>",
        b"MAIL FROM:<a@elsewhere.test",
        b"MAIL FROM:a@elsewhere.test>",
        b'MAIL FROM:"a@elsewhere.test"',
        b"MAIL FROM:<a b@elsewhere.test>",
        b"MAIL FROM <a@elsewhere.test>",
        b"MAIL FROM:<a@elsewhere.test> SIZE=-1",
        b"MAIL FROM:<a@elsewhere.test> UNHEARD-OF=1",
        b"MAIL",
    ],
)
def test_an_envelope_that_is_not_to_the_letter_is_refused(relay, command):
    """RFC 5321 section 4.1.1.2."""
    with Client(NODE) as client:
        assert client.ask(command)[:3] in {"501", "555"}
        assert client.ask(command.replace(b"MAIL FROM", b"RCPT TO"))[:3] in {"501", "503"}
