# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind a proxy, strangers get as far as without one; who says nothing of a proxy, or something else, gets nowhere."""

import socket
import ssl

import pytest
from mail import NODES
from on_node import sh
from wire import Client
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
PORT = 2525
SERVICE = f"{PORT}/inet"
STRANGER = "198.51.100.9"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module", autouse=True)
def behind_proxy():
    """One more listener of the relay."""
    entry = f"{PORT} inet n - y - - smtpd -o smtpd_upstream_proxy_protocol=haproxy"
    sh(NODE, f"postconf -Me '{SERVICE}={entry}' && postfix reload")
    yield
    sh(NODE, f"postconf -MX {SERVICE} && postfix reload")


def text(client=STRANGER):
    return f"PROXY TCP4 {client} {NODES[NODE]} 40000 {PORT}\r\n".encode()


def octets(client=STRANGER):
    ends = b"".join(map(socket.inet_aton, (client, NODES[NODE])))
    return SIGNATURE + b"\x21\x11\0\x0c" + ends + (40000).to_bytes(2, "big") + PORT.to_bytes(2, "big")


@pytest.mark.parametrize("header", [text(), octets()], ids=["version 1", "version 2"])
def test_a_stranger_behind_a_proxy_gets_as_far_as_without_one(relay, header):
    with Client(NODE, port=PORT, header=header) as client:
        assert client.start_tls(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
        client.ask(b"EHLO client.elsewhere.test")
        sender, recipient = client.envelope()
        assert client.ask(sender, b"RCPT TO:<probe@stranger.test>").startswith("554 5.7.1")
        assert client.ask(recipient).startswith("250 ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_behind_a_proxy_nobody_has_old_tls_either(relay):
    with Client(NODE, port=PORT, header=text()) as client:
        assert not client.start_tls(versions=(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1))


BAD_HEADERS = {
    "none": b"",
    "one without an end": b"PROXY TCP4 " + b"1" * 10000,
    "one that is too long": b"PROXY TCP4 " + b"1" * 10000 + b"\r\n",
    "an address that is none": b"PROXY TCP4 999.0.0.1 198.51.100.1 1 25\r\n",
    "a path for an address": b"PROXY TCP4 ../../etc 198.51.100.1 1 25\r\n",
    "a port that is none": b"PROXY TCP4 198.51.100.9 198.51.100.1 99999 25\r\n",
    "another family": b"PROXY UDP4 198.51.100.9 198.51.100.1 1 25\r\n",
    "octets cut short": octets()[:20],
    "octets that are too many": SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 0xFFFF,
    "octets of version 3": SIGNATURE + b"\x31\x11" + octets()[14:],
    "zeros": b"\0" * 10000,
}


@pytest.mark.parametrize("title", BAD_HEADERS)
def test_a_header_that_is_none_leads_nowhere(relay, title):
    with Client(NODE, port=PORT, greeted=False, header=BAD_HEADERS[title]) as client:
        client.send(b"EHLO client.elsewhere.test\r\nMAIL FROM:<a@elsewhere.test>\r\n" * 100)
        assert not [reply for reply in client.replies() if reply.startswith(("220", "250"))]
