# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listeners greet."""

from __future__ import annotations

import os
import socket
import socketserver
import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import listeners
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import listener


@pytest.fixture
def speak(serving):
    """Start a listener that says something to everybody, and keeps what it hears."""

    def start(says, context=None):
        class Dialogue(socketserver.BaseRequestHandler):
            def handle(self):
                sock = context.wrap_socket(self.request, server_side=True) if context else self.request
                sock.sendall(says(self.client_address[0]) if callable(says) else says)
                self.server.heard.append(sock.recv(1000))

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        server.daemon_threads, server.heard = True, []
        return serving(server)

    return start


def greets(instance, server, answers_suffice=False, **effective):
    return listeners.greets(
        instance(effective), listener(f"127.0.0.1:{server.server_address[1]}"), answers_suffice=answers_suffice
    )


@pytest.mark.parametrize(
    ("says", "up"),
    [
        (b"220 mx1.example.com ESMTP\r\n", True),
        (b"220-mx1.example.com\r\n220 mx1.example.com ESMTP\r\n", True),
        (b"220-mx1.example.com\r\n421 4.3.2 Service not available\r\n", False),
        (b"421 4.3.2 Service not available\r\n", False),
        (b"554 5.7.1 no\r\n", False),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
    ],
)
def test_a_listener_is_up_when_it_says_220(instance, speak, says, up):
    server = speak(says)
    assert greets(instance, server) is up
    assert set(server.heard) == {b"QUIT\r\n"}


@pytest.mark.parametrize(
    ("says", "up"),
    [(b"554 5.7.1 no\r\n", True), (b"220 mx1.example.com ESMTP\r\n", True), (b"HTTP/1.1 400 Bad Request\r\n", False)],
)
def test_a_listener_that_is_known_to_turn_this_host_away_is_up_when_it_does(instance, speak, says, up):
    assert greets(instance, speak(says), answers_suffice=True) is up


def test_a_listener_that_turns_loopback_away_is_up_when_it_greets_another_address(instance, speak):
    server = speak(lambda client: b"554 5.7.1 no\r\n" if client == "127.0.0.1" else b"220 mx1.example.com ESMTP\r\n")
    assert greets(instance, server) is True
    assert len(server.heard) == 2


def test_a_listener_in_wrapper_mode_greets_over_tls(instance, speak, issue, tmp_path):
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    server = speak(b"220 mx1.example.com ESMTP\r\n", context)
    assert greets(instance, server, smtpd_tls_wrappermode="yes") is True
    assert greets(instance, speak(b"421 no\r\n", context), smtpd_tls_wrappermode="yes") is False
    turned_away = {"smtpd_tls_wrappermode": "yes", "smtpd_tls_req_ccert": "yes"}
    assert greets(instance, speak(b"421 no\r\n", context), **turned_away) is True


def test_a_listener_behind_a_proxy_is_spoken_to_as_the_proxy_does(instance, speak):
    server = speak(b"220 mx1.example.com ESMTP\r\n")
    assert greets(instance, server, smtpd_upstream_proxy_protocol="haproxy") is True
    assert server.heard[0].startswith(b"PROXY TCP4 ")


def test_nobody_at_a_port_is_not_up(instance):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert listeners.greets(instance(), listener(f"127.0.0.1:{port}")) is False


def test_a_listener_that_says_nothing_is_not_up(instance, monkeypatch):
    monkeypatch.setattr(listeners, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert listeners.greets(instance(), listener(f"127.0.0.1:{silent.getsockname()[1]}")) is False


@pytest.mark.parametrize(
    ("name", "found", "host"),
    [
        ("smtp", {}, "127.0.0.1"),
        ("smtp", {"inet_protocols": "ipv6"}, "::1"),
        ("smtp", {"inet_interfaces": "192.0.2.1, 192.0.2.2"}, "192.0.2.1"),
        ("smtp", {"inet_interfaces": "192.0.2.1 127.0.0.1"}, "127.0.0.1"),
        ("192.0.2.9:25", {}, "192.0.2.9"),
        ("[::1]:25", {}, "::1"),
    ],
)
def test_a_listener_is_asked_where_it_listens(instance, name, found, host):
    assert listeners.address_of(instance(found), listener(name)) == host


def test_a_listener_at_a_port_that_nobody_knows_is_nowhere_and_not_up(instance):
    assert listeners.address_of(instance(), listener("nosuchport")) == ""
    assert listeners.greets(instance(), listener("nosuchport")) is False


def test_each_listener_is_asked_and_none_where_nothing_runs(instance, speak, monkeypatch):
    up, down = (speak(says).server_address[1] for says in (b"220 x\r\n", b"421 x\r\n"))
    made = instance(entries=f"127.0.0.1:{up} inet n - y - - smtpd\n127.0.0.1:{down} inet n - y - - smtpd\n")
    names = [f"127.0.0.1:{port}/inet" for port in (up, down)]
    assert listeners.check_listeners(made, True) == dict(zip(names, (True, False)))
    assert listeners.check_listeners(made, False) == dict.fromkeys(names, False)


@pytest.mark.parametrize(("content", "runs"), [("  {0}\n", False), ("x\n", False), ("", False), (None, False)])
def test_a_master_runs_when_its_process_is_there_and_is_one(instance, tmp_path, content, runs):
    (tmp_path / "spool" / "pid").mkdir(parents=True)
    if content is not None:
        (tmp_path / "spool" / "pid" / "master.pid").write_text(content.format(os.getpid()))
    assert listeners.master_runs(instance()) is runs


def test_a_process_that_calls_itself_master_is_one(instance, tmp_path, monkeypatch):
    (tmp_path / "spool" / "pid").mkdir(parents=True)
    (tmp_path / "spool" / "pid" / "master.pid").write_text(f"       {os.getpid()}\n")
    monkeypatch.setattr(listeners, "name_of", lambda pid: {os.getpid(): "master"}[pid])
    assert listeners.master_runs(instance()) is True
