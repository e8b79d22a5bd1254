# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever is slow, silent or never ends is left."""

from __future__ import annotations

import socket
import socketserver
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import listeners
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import listener


def silence(sock):
    sock.recv(1000)


def a_byte_now_and_then(sock):
    while True:
        sock.sendall(b"2")
        time.sleep(0.05)


def a_banner_without_end(sock):
    while True:
        sock.sendall(b"x" * 65536)


def teasers_without_end(sock):
    while True:
        sock.sendall(b"220-x\r\n" * 100)


def a_greeting_and_then_nothing(sock):
    sock.sendall(b"220 x\r\n")
    sock.recv(1000)
    sock.recv(1000)


@pytest.fixture
def stalling(serving):
    def start(behaviour):
        class Dialogue(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    behaviour(self.request)
                except OSError:
                    pass

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        server.daemon_threads = True
        return serving(server).server_address[1]

    return start


@pytest.mark.parametrize("wrapped", ["no", "yes"], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    ("behaviour", "up"),
    [
        (silence, False),
        (a_byte_now_and_then, False),
        (a_banner_without_end, False),
        (teasers_without_end, False),
        (a_greeting_and_then_nothing, True),
    ],
)
def test_a_listener_that_never_ends_is_left_in_time(instance, stalling, monkeypatch, *, behaviour, up, wrapped):
    monkeypatch.setattr(listeners, "SECONDS", 0.5)
    service = listener(f"127.0.0.1:{stalling(behaviour)}")
    begun = time.monotonic()
    assert listeners.greets(instance({"smtpd_tls_wrappermode": wrapped}), service) is (up and wrapped == "no")
    assert time.monotonic() - begun < 3


def test_a_listener_that_accepts_nobody_is_left_in_time(instance, monkeypatch):
    monkeypatch.setattr(listeners, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        for _connection in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        assert listeners.greets(instance(), listener(f"127.0.0.1:{address[1]}")) is False
        for one in waiting:
            one.close()
