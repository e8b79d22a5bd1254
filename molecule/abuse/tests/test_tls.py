# SPDX-License-Identifier: GPL-3.0-or-later
"""Handshakes that are none, and what a client may want of TLS that costs the relay more than the client."""

import ssl
import subprocess

import pytest
from mail import NODES, s_client
from wire import Client, client_hello
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
TLS = ssl.TLSVersion


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [TLS.TLSv1, TLS.TLSv1_1])
def test_who_speaks_old_tls_alone_gets_none(relay, version):
    with Client(NODE) as client:
        assert not client.start_tls(versions=(version, version))


def records(*payloads, kind=22):
    return b"".join(b"%c\x03\x01%s%s" % (kind, len(one).to_bytes(2, "big"), one) for one in payloads)


HUGE = b"\x01\xff\xff\xff" + b"\x03\x03" + b"x" * (16384 - 6)
NAME = "name-of-the-server.elsewhere.test"
BAD_HANDSHAKES = {
    "client hello of 16 MB": records(HUGE, *[b"x" * 16384] * 63),
    "record too long": b"\x16\x03\x01\xff\xff" + b"x" * 0xFFFF,
    "records of one byte": records(*[bytes([byte]) for byte in client_hello()[5:200]]) + records(b"x"),
    "empty records": records(*[b""] * 10000),
    "alerts": records(*[b"\x01\x00"] * 10000, kind=21),
    "fatal alert": records(b"\x02\x28", kind=21),
    "data before a handshake": records(b"MAIL FROM:<a@elsewhere.test>\r\n", kind=23),
    "heartbeat (CVE-2014-0160)": records(b"\x01\x40\x00", kind=24),
    "SSL 2 client hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"x" * 16,
    "zeros": b"\0" * 10000,
    "server name that is no name": client_hello(NAME).replace(NAME.encode(), bytes(range(len(NAME)))),
    "server name that is a path": client_hello(NAME).replace(NAME.encode(), (b"../" * len(NAME))[: len(NAME)]),
}


@pytest.mark.parametrize("title", BAD_HANDSHAKES)
def test_a_handshake_that_is_none_leads_nowhere(relay, title):
    with Client(NODE) as client:
        client.ask(b"STARTTLS")
        client.send(BAD_HANDSHAKES[title])
        client.send(b"MAIL FROM:<a@elsewhere.test>\r\nQUIT\r\n" * 1000)
        assert "250 2.1.0" not in client.reply()


@pytest.mark.parametrize(
    "name", ["*", "a" * 250, "..", "node1.fleet.test/../../etc/passwd", "%s%n", "$(id)", "1.2.3.4"]
)
def test_whatever_server_name_is_asked_for_the_handshake_goes_on(relay, name):
    done = s_client(NODE, "-servername", name, "-tls1_2")
    assert "Cipher is (NONE)" not in done.stdout


def test_tls_does_not_compress(relay):
    with Client(NODE) as client:
        assert client.start_tls()
        assert client.socket.compression() is None


class OpenSSL:
    """s_client, which obeys commands of one letter."""

    def __init__(self, version):
        argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{NODES[NODE]}:25", version]
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        self._process = subprocess.Popen(argv, **pipes, stderr=subprocess.STDOUT, bufsize=0)
        self.says(b"250 ")

    def says(self, text):
        """Whether a line begins so, of those that come until the relay hangs up."""
        return any(line.startswith(text) for line in self._process.stdout)

    def told(self, command):
        try:
            self._process.stdin.write(command)
        except BrokenPipeError:
            pass

    def end(self):
        self.told(b"Q\n")
        self._process.communicate(timeout=60)


def test_new_keys_that_a_client_wants_a_hundred_times_disturb_nobody(relay):
    """TLS 1.3 (RFC 8446 section 4.6.3)."""
    client = OpenSSL("-tls1_3")
    for _time in range(100):
        client.told(b"K\n")
        assert client.says(b"KEYUPDATE")
    client.told(b"NOOP\r\n")
    assert client.says(b"250 2.0.0")
    client.end()


def test_a_client_cannot_have_another_handshake_on_its_connection(relay):
    """Each costs the relay far more than the client."""
    client = OpenSSL("-tls1_2")
    client.told(b"R\n")
    assert client.says(b"RENEGOTIATING")
    client.told(b"NOOP\r\n")
    assert not client.says(b"250 2.0.0")
    client.end()
