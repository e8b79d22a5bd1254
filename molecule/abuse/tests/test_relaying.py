# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail for strangers is not relayed."""

import pytest
from mail import NODES
from wire import Client
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
ELSEWHERE = """
probe@stranger.test
"probe"@stranger.test
probe@stranger.test.
probe@[192.0.2.1]
probe@[IPv6:2001:db8::1]
probe%stranger.test
probe%stranger.test@node1.fleet.test
probe%stranger.test@[{address}]
probe%stranger.test@localhost
probe%stranger.test%other.test@node1.fleet.test
"probe%stranger.test"@node1.fleet.test
"probe%stranger.test"
"probe@stranger.test"@node1.fleet.test
"probe@stranger.test"
probe@stranger.test@node1.fleet.test
probe@node1.fleet.test@stranger.test
probe%40stranger.test
@node1.fleet.test:probe@stranger.test
@node1.fleet.test,@other.test:probe@stranger.test
stranger.test!probe
stranger.test!probe@node1.fleet.test
node1.fleet.test!stranger.test!probe
""".split()
MALFORMED = """
probe@
@stranger.test
@
probe@.stranger.test
probe@192.0.2.1
probe@localhost%stranger.test
probe@stranger.test,probe@node1.fleet.test
probe(comment)@stranger.test
-oQ/tmp@node1.fleet.test
""".split()
NOT_QUALIFIED = "504 5.5.2"
"""Before 3.6, Postfix finds fault with the address first (smtpd_relay_before_recipient_restrictions)."""
NOT_A_USER = """
|/bin/sh@node1.fleet.test
"|/bin/sh"@node1.fleet.test
/etc/passwd@node1.fleet.test
:include:/etc/passwd@node1.fleet.test
""".split()


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        *((address, ("554 5.7.1", NOT_QUALIFIED)) for address in ELSEWHERE),
        *((address, ("501 5.1.3",)) for address in ["", *MALFORMED]),
        *((address, ("550 5.1.1",)) for address in NOT_A_USER),
    ],
)
def test_mail_for_strangers_is_not_relayed_however_the_address_is_written(relay, recipient, expected):
    """Whoever it is said to be from."""
    recipient = recipient.format(address=NODES[NODE])
    with Client(NODE) as client:
        for sender in (b"<somebody@elsewhere.test>", b"<>", b"<probe@node1.fleet.test>"):
            assert client.ask(b"RSET", b"MAIL FROM:" + sender).startswith("250")
            assert client.ask(b"RCPT TO:<" + recipient.encode() + b">").startswith(expected)
            assert client.ask(b"DATA").startswith("554 5.5.1")


@pytest.mark.parametrize("command", [b"XCLIENT ADDR=127.0.0.1 NAME=localhost", b"XFORWARD ADDR=127.0.0.1"])
def test_nobody_may_pass_for_another_client(relay, command):
    with Client(NODE) as client:
        assert client.ask(command).startswith("550 5.7.0")
        assert client.ask(client.envelope()[0], b"RCPT TO:<probe@stranger.test>").startswith("554 5.7.1")
