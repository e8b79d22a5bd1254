# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections from this address or that, and the words of a proxy before them."""

from __future__ import annotations

import ipaddress
import socket
import socketserver

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.connection import (
    BINARY,
    TEXT,
    Endpoint,
    Target,
    connect,
    forwarded,
    proxy_header,
)

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


class Recorder(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.clients.append(self.client_address[0])
        self.server.said.append(self.request.recv(1000))
        self.request.sendall(b"220 mx1.example.com ESMTP\r\n")


@pytest.fixture
def recorder(serving):
    """A listener that keeps who talks to it, and what is said first."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Recorder)
    server.daemon_threads, server.clients, server.said = True, [], []
    return serving(server)


def at(server, **over):
    return Target("127.0.0.1", server.server_address[1], "mx1.example.com", **over)


def talk(target):
    with connect(target) as sock:
        sock.sendall(b"EHLO x\r\n")
        return sock.recv(100)


@pytest.mark.parametrize(
    ("client", "server", "header"),
    [
        ("192.0.2.1", "127.0.0.1", b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 25\r\n"),
        ("2001:db8::1", "::1", b"PROXY TCP6 2001:db8::1 ::1 4711 25\r\n"),
        ("fe80::1%eth0", "::1", b"PROXY TCP6 fe80::1 ::1 4711 25\r\n"),
    ],
)
def test_a_proxy_says_in_words_whose_connection_it_is(client, server, header):
    assert proxy_header(TEXT, Endpoint(client, 4711), Endpoint(server, 25)) == header


@pytest.mark.parametrize(
    ("client", "server", "octets"),
    [
        ("192.0.2.1", "127.0.0.1", "2111000cc00002017f00000112670019"),
        ("2001:db8::1", "::1", "2121002420010db80000000000000000000000010000000000000000000000000000000112670019"),
    ],
)
def test_a_proxy_says_in_octets_whose_connection_it_is(client, server, octets):
    header = proxy_header(BINARY, Endpoint(client, 4711), Endpoint(server, 25))
    assert header == SIGNATURE + bytes.fromhex(octets)


def test_without_a_source_the_kernel_chooses(recorder):
    assert talk(at(recorder)).startswith(b"220 ")
    assert recorder.clients == ["127.0.0.1"] and recorder.said == [b"EHLO x\r\n"]


def test_a_client_comes_from_the_address_that_it_is_told(recorder):
    talk(at(recorder, source="127.0.0.7"))
    assert recorder.clients == ["127.0.0.7"]


def test_out_of_a_network_each_connection_has_another_address(recorder):
    for _each in range(5):
        talk(at(recorder, source="127.0.0.0/8"))
    assert len(set(recorder.clients)) == 5
    assert all(ipaddress.ip_address(client) in ipaddress.ip_network("127.0.0.0/8") for client in recorder.clients)


@pytest.mark.parametrize("version", [TEXT, BINARY])
def test_to_a_listener_behind_a_proxy_another_address_is_only_told(recorder, version):
    talk(at(recorder, source="192.0.2.9", proxy_protocol=version))
    assert recorder.clients == ["127.0.0.1"]
    told = b" 192.0.2.9 127.0.0.1 " if version == TEXT else bytes([192, 0, 2, 9, 127, 0, 0, 1])
    assert told in recorder.said[0]


def test_to_a_listener_behind_a_proxy_the_client_is_who_it_is(recorder):
    with connect(at(recorder, proxy_protocol=TEXT)) as sock:
        own = sock.getsockname()[1]
        sock.recv(100)
    assert recorder.said == [f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {recorder.server_address[1]}\r\n".encode()]


@pytest.mark.parametrize("over", [{"source": "127.0.0.7"}, {"proxy_protocol": TEXT}, {"proxy_protocol": BINARY}])
def test_a_program_that_knows_no_proxies_talks_through_us(recorder, over):
    with forwarded(at(recorder, **over)) as place:
        host, _colon, port = place.partition(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            sock.sendall(b"EHLO x\r\n")
            heard = sock.recv(100)
            while not heard.endswith(b"\r\n"):
                heard += sock.recv(100)
    assert heard.startswith(b"220 ")
    assert recorder.clients == [over.get("source", "127.0.0.1")]
    assert recorder.said[0].startswith((b"PROXY TCP4", SIGNATURE) if "proxy_protocol" in over else b"EHLO")


def test_a_program_that_never_comes_holds_nothing_up(recorder):
    with forwarded(at(recorder)):
        pass
    assert recorder.clients == []


def test_a_program_is_told_when_there_is_nobody_to_talk_to():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = Target("127.0.0.1", probe.getsockname()[1], "x")
        with forwarded(nobody) as place:
            with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2])), 10) as sock:
                assert sock.recv(100) == b""
