# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listeners greet."""

from __future__ import annotations

import socket
import socketserver
import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import EFFECTIVE


@pytest.fixture
def speak(serving):
    """Start a listener that says something to everybody, and keeps what it hears."""

    def start(says, context=None):
        class Dialogue(socketserver.BaseRequestHandler):
            def handle(self):
                sock = context.wrap_socket(self.request, server_side=True) if context else self.request
                sock.sendall(says)
                self.server.heard.append(sock.recv(1000))

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        server.daemon_threads, server.heard = True, []
        return serving(server)

    return start


def greets(program, instance, server, **effective):
    made = instance(effective)
    service = program.Service(f"127.0.0.1:{server.server_address[1]}", "inet", "smtpd", {})
    return program.greets(service, made)


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
def test_a_listener_is_up_when_it_says_220(program, instance, speak, says, up):
    server = speak(says)
    assert greets(program, instance, server) is up
    assert server.heard == [b"QUIT\r\n"]


def test_a_listener_in_wrapper_mode_greets_over_tls(program, instance, speak, issue, tmp_path):
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")
    server = speak(b"220 mx1.example.com ESMTP\r\n", context)
    assert greets(program, instance, server, smtpd_tls_wrappermode="yes") is True
    assert greets(program, instance, speak(b"421 no\r\n", context), smtpd_tls_wrappermode="yes") is False
    turned_away = {"smtpd_tls_wrappermode": "yes", "smtpd_tls_req_ccert": "yes"}
    assert greets(program, instance, speak(b"421 no\r\n", context), **turned_away) is True


def test_a_listener_behind_a_proxy_is_spoken_to_as_the_proxy_does(program, instance, speak):
    server = speak(b"220 mx1.example.com ESMTP\r\n")
    assert greets(program, instance, server, smtpd_upstream_proxy_protocol="haproxy") is True
    assert server.heard[0].startswith(b"PROXY TCP4 ")


def test_nobody_at_a_port_is_not_up(program, instance):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = program.Service(f"127.0.0.1:{port}", "inet", "smtpd", {})
    assert program.greets(service, instance()) is False


def test_a_listener_that_says_nothing_is_not_up(program, instance, monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = program.Service(f"127.0.0.1:{silent.getsockname()[1]}", "inet", "smtpd", {})
        assert program.greets(service, instance()) is False


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
def test_a_listener_is_asked_where_it_listens(program, name, found, host):
    assert program.listener_host(program.Service(name, "inet", "smtpd", {}), {**EFFECTIVE, **found}) == host


def test_entries_that_are_disabled_are_no_listeners(program, monkeypatch):
    answers = {
        "-M": "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd -o syslog_name=postfix/submission\n",
        "-Px": "submission/inet/syslog_name = postfix/submission\n",
        "-x": "master_service_disable = submission.inet\nsyslog_name = postfix\n",
        "-n": "",
    }

    def answer(argv, **_options):
        return program.subprocess.CompletedProcess(argv, 0, answers[argv[-1]], "")

    monkeypatch.setattr(program.subprocess, "run", answer)
    assert [service.key for service in program.read_instance("/etc/postfix").services] == ["smtp/inet"]
