# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that begin a conversation and do not go on with it."""

from __future__ import annotations

import socketserver
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _command
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import conversation, observe
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.conversation import Target

SILENT = 20.0
GREETING, EHLO = b"220 mx ESMTP\r\n", b"250-mx\r\n250 STARTTLS\r\n"


class Peer(socketserver.ThreadingTCPServer):
    """Answers as far as ``says`` goes, an octet at a time where ``slowly``, and is silent then."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, says, slowly=False):
        super().__init__(("127.0.0.1", 0), Silent)
        self.says, self.slowly = says, slowly
        self.target = Target("127.0.0.1", self.server_address[1], "mx.partner.example")


class Drips(Peer):
    """To all but EHLO it begins an answer of many lines, and goes on and on with it."""

    def finish_request(self, request, _address):
        try:
            request.sendall(GREETING)
            request.recv(1000)
            request.sendall(b"250 drip\r\n")
            while True:
                request.sendall(b"250-a\r\n")
                time.sleep(0.1)
        except OSError:
            pass


class Silent(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            for said in self.server.says:
                for piece in [said[i : i + 1] for i in range(len(said))] if self.server.slowly else [said]:
                    self.request.sendall(piece)
                    time.sleep(0.1 if self.server.slowly else 0)
                self.request.recv(1000)
            self.request.settimeout(SILENT)
            while self.request.recv(1000):
                pass
        except OSError:
            pass


@pytest.mark.parametrize(
    ("says", "slowly"),
    [
        ([], False),
        ([GREETING], False),
        ([GREETING, EHLO], False),
        ([GREETING, EHLO, b"250 ok\r\n", b"250 ok\r\n", b"221 bye\r\n"], False),
        ([b"220-" + b"x" * 8000 + b"\r\n"], True),
        ([GREETING, b"250-" + b"y" * 8000 + b"\r\n"], True),
    ],
    ids=["nothing", "a greeting", "EHLO", "all but TLS", "a greeting an octet at a time", "EHLO an octet at a time"],
)
def test_a_peer_that_does_not_go_on_is_left_in_time(serving, monkeypatch, says, slowly):
    monkeypatch.setattr(conversation, "TIMEOUT", 0.5)
    monkeypatch.setattr(observe, "LOOK", 1.5)
    monkeypatch.setattr(_command, "TALKING", {"openssl": 0.5})
    peer = serving(Peer(says, slowly))
    began = time.monotonic()
    seen = observe.observe(_command.run, peer.target)
    assert time.monotonic() - began < 10
    assert seen.error is not None
    assert seen.protocol is None


def test_a_peer_whose_answer_never_ends_is_left_in_time_though_it_keeps_the_deadline_of_each_line(serving, monkeypatch):
    monkeypatch.setattr(observe, "LOOK", 0.7)
    peer = serving(Drips([]))
    began = time.monotonic()
    seen = observe.observe(_command.run, peer.target)
    assert time.monotonic() - began < 5
    assert seen.error == f"{peer.target} has not answered everything within 1 seconds."
