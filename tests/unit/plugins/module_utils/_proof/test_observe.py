# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import Protocol
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import observe as observing
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.conversation import Target, unverified
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.observe import (
    answer_to_recipient,
    observe,
)


def look(server, implicit_tls=False, name="mx1.example.com", **options):
    return observe(server.openssl, Target("127.0.0.1", server.port, name, implicit_tls), **options)


@pytest.mark.parametrize(
    ("level", "starttls", "plaintext", "reply"),
    [
        ("none", False, "accepted", "250 2.1.0 Ok"),
        ("may", True, "accepted", "250 2.1.0 Ok"),
        ("encrypt", True, "refused", "530 5.7.0 Must issue a STARTTLS command first"),
    ],
)
def test_each_server_level_looks_different_on_the_wire(listen, level, starttls, plaintext, reply):
    seen = look(listen(level=level))
    assert (seen.starttls, seen.plaintext, seen.plaintext_reply) == (starttls, plaintext, reply)
    assert seen.error is None


@pytest.mark.parametrize(
    ("floor", "spoken"),
    [(ssl.TLSVersion.TLSv1_2, ["TLSv1.2", "TLSv1.3"]), (ssl.TLSVersion.TLSv1_3, ["TLSv1.3"])],
)
def test_a_protocol_floor_shows_on_the_wire(listen, floor, spoken):
    seen = look(listen(floor=floor))
    assert [name for name, answer in seen.protocols.items() if answer == "accepted"] == spoken
    assert seen.protocol == "TLSv1.3"
    assert seen.cipher.startswith("TLS_")


@pytest.mark.parametrize("problem", [ValueError("no such version"), ssl.SSLError("unsupported")])
def test_a_version_that_this_openssl_does_not_speak_is_untested(listen, monkeypatch, problem):
    def context(protocol=None, own_pem=None):
        if protocol is Protocol.TLS_1_0:
            raise problem
        return unverified(protocol, own_pem)

    monkeypatch.setattr(observing, "unverified", context)
    assert look(listen()).protocols == {
        "TLSv1": "untested",
        "TLSv1.1": "refused",
        "TLSv1.2": "accepted",
        "TLSv1.3": "accepted",
    }


@pytest.mark.parametrize("implicit_tls", [False, True])
def test_the_certificate_that_is_shown_is_described(listen, issue, implicit_tls):
    chain = issue()
    seen = look(listen(chain=chain, implicit_tls=implicit_tls), implicit_tls)
    assert seen.certificate["certificate_sha256"] == certificate_fingerprint(chain.leaf)
    assert seen.error is None


def test_without_starttls_no_certificate_is_seen(listen):
    seen = look(listen(level="none"))
    assert (seen.certificate, seen.protocols, seen.client_certificate) == (None, {}, None)


@pytest.mark.parametrize("implicit_tls", [False, True])
@pytest.mark.parametrize("demand", ["ignore", "request", "require"])
def test_what_a_server_does_about_client_certificates_is_seen(listen, demand, implicit_tls):
    seen = look(listen(level="encrypt", certificates=demand, implicit_tls=implicit_tls), implicit_tls)
    assert seen.client_certificate == demand
    assert seen.with_own_certificate is None


@pytest.mark.parametrize(("by", "gets_in"), [("ca", True), ("itself", False)])
def test_only_a_certificate_of_the_fleet_gets_in_where_one_is_required(listen, issue, by, gets_in):
    own = issue(names=["mx2.example.com"], by=by).to_pem()
    seen = look(listen(level="encrypt", certificates="require"), own_pem=own)
    assert (seen.client_certificate, seen.with_own_certificate) == ("require", gets_in)


@pytest.mark.parametrize(
    ("made", "name", "verified", "problem"),
    [
        ({}, "mx1.example.com", True, None),
        ({}, "mx2.example.com", False, "mx2.example.com"),
        ({"by": "itself"}, "mx1.example.com", False, "self"),
    ],
)
def test_a_ca_file_vouches_for_the_right_name_alone(listen, issue, tmp_path, *, made, name, verified, problem):
    server = listen(chain=issue(**made))
    seen = look(server, name=name, ca_file=str(tmp_path / "fleet-ca.pem"))
    assert seen.verified is verified
    assert (problem is None and seen.verify_error is None) or problem in seen.verify_error


def test_without_a_ca_file_nothing_is_verified(listen):
    assert look(listen()).verified is None


def test_openssl_is_asked_about_the_listener_by_name(listen):
    server, asked = listen(), []

    def run(argv, stdin=None):
        asked.append((argv, stdin))
        return Completed(0, "", "")

    observe(run, Target("127.0.0.1", server.port, "mx1.example.com"))
    address = f"127.0.0.1:{server.port}"
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", address, "-servername", "mx1.example.com"]
    assert asked == [(argv, "QUIT\r\n")]


def test_a_listener_that_is_not_there_is_an_observation_too():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        seen = observe(None, Target("127.0.0.1", closed.getsockname()[1], "mx1.example.com"))
    assert "refused" in seen.error
    assert seen.plaintext is None


def test_a_listener_that_sends_clients_away_is_quoted(listen, monkeypatch):
    server = listen()
    monkeypatch.setattr(
        server.RequestHandlerClass, "handle", lambda self: self.request.sendall(b"554 5.7.1 Go away\r\n")
    )
    assert look(server).error == "554 5.7.1 Go away"


def test_an_observation_is_plain_data(listen):
    facts = look(listen()).as_facts()
    assert facts["listener"].startswith("127.0.0.1:")
    assert facts["protocols"]["TLSv1.3"] == "accepted"


@pytest.mark.parametrize(
    ("options", "implicit_tls"),
    [
        ({"level": "none"}, False),
        ({"level": "may"}, False),
        ({"level": "encrypt"}, False),
        ({"implicit_tls": True}, True),
    ],
)
def test_the_answer_to_a_recipient_is_heard_encrypted_where_it_can_be(listen, options, implicit_tls):
    server = listen(**options)
    target = Target("127.0.0.1", server.port, "mx1.example.com", implicit_tls)
    assert answer_to_recipient(target, None) == "250 2.1.0 Ok"
    said = [verb for verb in server.heard if verb.split()[0] in ("STARTTLS", "MAIL", "RCPT", "RSET", "DATA")]
    assert said == [
        *(["STARTTLS"] if options.get("level") in ("may", "encrypt") else []),
        "MAIL FROM:<>",
        "RCPT TO:<PROOF@MX1.EXAMPLE.COM>",
        "RSET",
    ]


def test_the_answer_to_a_recipient_is_heard_as_the_node_itself_where_that_is_required(listen, issue):
    server = listen(level="encrypt", certificates="require")
    target = Target("127.0.0.1", server.port, "mx1.example.com")
    own = issue(names=["mx2.example.com"]).to_pem()
    assert answer_to_recipient(target, own) == "250 2.1.0 Ok"
    assert answer_to_recipient(target, None) is None


def test_a_listener_behind_a_proxy_is_seen_as_far_as_one_without(listen):
    server = listen(proxied=True)
    target = Target("127.0.0.1", server.port, "mx1.example.com", proxy_protocol=1)
    seen = observe(server.openssl, target)
    assert seen.error is None
    assert (seen.starttls, seen.plaintext, seen.protocol) == (True, "accepted", "TLSv1.3")
    assert seen.proxy_protocol == {"v1": "accepted", "v2": "accepted"}
    assert look(server).starttls is False, "without the header, nobody gets anywhere"


@pytest.mark.parametrize("certificates", ["ignore", "request"])
def test_who_is_turned_away_on_the_way_has_seen_nothing_of_protocols_or_certificates(listen, certificates):
    """As a listener does that lets a client in so often and no more."""
    server = listen(certificates=certificates)
    server.greets = lambda client: (
        "220 mx1 ESMTP" if len(server.heard) < 10 else "421 4.7.0 mx1 Error: too many connections"
    )
    seen = look(server)
    assert seen.error == "421 4.7.0 mx1 Error: too many connections"
    assert set(seen.protocols) == {"TLSv1", "TLSv1.1"}, "the others were not heard"
    assert seen.client_certificate is None


def test_a_listener_that_does_not_come_to_a_recipient_answers_nothing():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = Target("127.0.0.1", closed.getsockname()[1], "mx1.example.com")
        assert answer_to_recipient(target, None) is None


class Shows:
    """An OpenSSL client that is shown a certificate for each name and each list of signatures."""

    def __init__(self, certificates):
        self.certificates = certificates
        self.asked = []

    def __call__(self, argv, stdin=None):
        name = argv[argv.index("-servername") + 1]
        signatures = argv[argv.index("-sigalgs") + 1] if "-sigalgs" in argv else None
        self.asked.append((name, signatures))
        chain = self.certificates.get((name, signatures))
        pem = certificates_pem(chain.certificates).decode() if chain else "no peer certificate available\n"
        return Completed(0, f"CONNECTED(00000003)\n{pem}No client certificate CA names sent\n", "")


ECDSA, RSA = "ECDSA+SHA256:ECDSA+SHA384", "RSA-PSS+SHA256:RSA+SHA256"


def test_a_client_that_knows_one_type_of_key_sees_the_certificate_of_that_type(listen, issue):
    server, chains = listen(), {"ecdsa": issue(), "rsa": issue(kind=("rsa", 2048))}
    shows = Shows({("mx1.example.com", ECDSA): chains["ecdsa"], ("mx1.example.com", RSA): chains["rsa"]})
    seen = observe(shows, Target("127.0.0.1", server.port, "mx1.example.com"), key_types=["ecdsa", "rsa"])
    assert seen.by_key_type == {kind: certificate_fingerprint(chain.leaf) for kind, chain in chains.items()}
    assert seen.by_name == {}


def test_a_client_that_asks_for_a_name_sees_the_certificate_of_that_name(listen, issue):
    server, chain = listen(), issue(names=["mail.example.net"])
    shows = Shows({("mail.example.net", None): chain})
    names = ["mail.example.net", "other.example.net"]
    seen = observe(shows, Target("127.0.0.1", server.port, "mx1.example.com"), names=names)
    assert seen.by_name == {"mail.example.net": certificate_fingerprint(chain.leaf), "other.example.net": None}
    assert [asked for asked in shows.asked if asked[0] in names] == [(name, None) for name in names]


def test_without_tls_nobody_is_asked_for_a_type_of_key_or_a_name(listen):
    shows = Shows({})
    server = listen(level="none")
    seen = observe(shows, Target("127.0.0.1", server.port, "mx1.example.com"), key_types=["rsa"], names=["a.example"])
    assert (seen.by_key_type, seen.by_name, shows.asked) == ({}, {}, [])
