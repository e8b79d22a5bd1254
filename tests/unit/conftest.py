# SPDX-License-Identifier: GPL-3.0-or-later
"""What unit tests share: nodes, certificates, and listeners that answer on loopback."""

from __future__ import annotations

import datetime
import socket
import socketserver
import ssl
import threading

import chosen
import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    certificates_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    request,
    self_sign,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import trust
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import REQUIRETLS
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import (
    DEFAULTS,
    DEFAULTS_3_5,
    FakePostfix,
    write,
)

NOW = datetime.datetime.now(datetime.timezone.utc)

pytest_collection_modifyitems = chosen.leave_out_others


@pytest.fixture(autouse=True)
def no_crash(monkeypatch):
    """No test lets the machine crash, so none waits for the disk."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def own_locks(monkeypatch, tmp_path_factory):
    """No test waits for what else runs on this machine."""
    monkeypatch.setattr(_files, "PLACES", (str(tmp_path_factory.getbasetemp()),))


@pytest.fixture(autouse=True)
def no_system_cas(monkeypatch):
    """No test depends on the CAs that this machine trusts."""
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", ())


@pytest.fixture
def node(tmp_path):
    """A node with a Postfix that runs and has no TLS."""
    return FakePostfix(tmp_path)


@pytest.fixture
def old_node(node):
    """A node with Postfix 3.5, as Debian bullseye has it."""
    node.defaults.update(DEFAULTS_3_5)
    return node


@pytest.fixture
def new_node(node):
    """A node with Postfix 3.11, which knows REQUIRETLS."""
    node.defaults.update({"mail_version": "3.11.1", REQUIRETLS: "opportunistic"})
    return node


@pytest.fixture(scope="session")
def fleet_ca():
    """(certificate, key) of a fleet's CA."""
    key = make_key(KeySpec("ecdsa", 256))
    return make_ca("Fleet CA", key, 3650, NOW), key


@pytest.fixture(scope="session")
def issue(fleet_ca):
    """A chain for a host: by the fleet's CA, or by itself."""

    def make(names=("mx1.example.com",), days=90, kind=("ecdsa", 256), by="ca", now=NOW):
        key = make_key(KeySpec(*kind))
        spec = CertificateSpec(tuple(names), days)
        if by == "itself":
            return Chain(key, (self_sign(spec, key, now),))
        return Chain(key, (sign_request(request(spec.names, key), spec, *fleet_ca, now),))

    return make


class Listener(socketserver.ThreadingTCPServer):
    """An SMTP server on loopback that answers as smtpd does, and keeps what clients say."""

    daemon_threads = True

    def __init__(self, level="may", certificates="ignore", context=None, implicit_tls=False, proxied=False):
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.level, self.certificates, self.context, self.implicit_tls = level, certificates, context, implicit_tls
        self.to_recipient = "250 2.1.0 Ok"
        self.proxied = proxied
        self.refused_names = ()
        self.greets = lambda client: "220 mx1.example.com ESMTP"
        self.offers_starttls_to = lambda client: self.level != "none"
        self.heard = []

    @property
    def port(self):
        return self.server_address[1]

    def openssl(self, argv, stdin=None):
        """What ``openssl s_client`` would print of this listener."""
        asks = self.certificates != "ignore"
        return Completed(0, "Requested Signature Algorithms: ECDSA+SHA256\n" if asks else "No client CAs\n", "")


class Dialogue(socketserver.BaseRequestHandler):
    """One client's conversation."""

    def handle(self):
        self.encrypted = self.aborted = False
        try:
            self.client = self.client_address[0]
            self.speak_over(self.request)
            if self.server.proxied:
                self.hear_proxy()
            if self.server.implicit_tls:
                self.start_tls()
            greeting = self.server.greets(self.client)
            self.say(greeting)
            while greeting.startswith("220") and self.answer(self.lines.readline()):
                pass
        except OSError:
            pass  # a client that goes away, or a handshake that fails

    def speak_over(self, sock):
        self.sock, self.lines = sock, sock.makefile("rb")

    def hear_proxy(self):
        """The header of a proxy, which says in words or in octets who the client is."""
        if self.request.recv(1, socket.MSG_PEEK) == b"P":
            self.client = self.lines.readline().split()[2].decode()
            return
        header = self.lines.read(16)
        addresses = self.lines.read(int.from_bytes(header[14:], "big"))
        self.client = socket.inet_ntoa(addresses[:4])

    def start_tls(self):
        sock = self.server.context.wrap_socket(self.sock, server_side=True)
        self.encrypted = True
        self.aborted = self.server.certificates == "require" and not sock.getpeercert()
        self.speak_over(sock)

    def say(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def answer(self, line):
        verb = line.decode().strip().upper()
        self.server.heard.append(verb)
        if self.aborted:
            self.say("421 4.7.1 mx1.example.com Error: Client TLS certificate not trusted")
            return False
        if verb.startswith("EHLO") and verb[5:] in self.server.refused_names:
            self.say("450 4.7.1 Helo command rejected: Host not found")
        elif verb.startswith("EHLO"):
            offers = self.server.offers_starttls_to(self.client) and not self.encrypted
            self.say("250-mx1.example.com\r\n" + ("250-STARTTLS\r\n" if offers else "") + "250 8BITMIME")
        elif verb == "STARTTLS":
            self.say("220 2.0.0 Ready to start TLS")
            self.start_tls()
        elif verb.startswith("MAIL") and self.server.level == "encrypt" and not self.encrypted:
            self.say("530 5.7.0 Must issue a STARTTLS command first")
        elif verb.startswith("RCPT"):
            self.say(self.server.to_recipient)
        elif verb == "QUIT":
            self.say("221 2.0.0 Bye")
        elif verb:
            self.say("250 2.1.0 Ok")
        return verb not in ("", "QUIT")


@pytest.fixture
def serving():
    """Let a socketserver serve until the test ends."""
    running = []

    def start(server):
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def listen(tmp_path, issue, fleet_ca, serving):
    """Start a listener with a certificate for mx1.example.com."""
    files = {"chain": tmp_path / "listener.pem", "ca": tmp_path / "fleet-ca.pem"}
    files["ca"].write_bytes(certificates_pem([fleet_ca[0]]))

    def start(floor=ssl.TLSVersion.TLSv1_2, chain=None, **options):
        files["chain"].write_bytes((chain or issue()).to_pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files["chain"])
        context.minimum_version = floor
        if options.get("certificates", "ignore") != "ignore":
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(files["ca"])
        return serving(Listener(context=context, **options))

    return start


@pytest.fixture
def defaults():
    """Postfix's own defaults, as postconf shows them."""
    return dict(DEFAULTS)


@pytest.fixture
def tls_node(node, issue):
    """A node with an active certificate of the fleet's CA."""
    chain = write(node.store("certificates", "fleet", "1.pem"), issue().to_pem())
    node.write(f"smtpd_tls_chain_files = {chain}\nsmtp_tls_chain_files = {chain}\n")
    return node


@pytest.fixture
def trusting_node(tls_node, fleet_ca):
    """The same with the CA in its trust file."""
    write(tls_node.store("trust", "1.pem"), certificates_pem([fleet_ca[0]]))
    return tls_node
