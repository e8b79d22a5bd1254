# SPDX-License-Identifier: GPL-3.0-or-later
"""What a listener shows, held against its configuration."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
    describe,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.store import active_chains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.by_name import Shown, shown_for
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.listeners import own_listeners
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.observe import Observation
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.shortcomings import (
    served_names,
    shortcomings,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._proof.served import serve

LENIENT = "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\n"
STRICT = (
    "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n"
    "smtpd_tls_mandatory_protocols = >=TLSv1.3\nsmtpd_tls_CAfile = /ca.pem\n"
)
TLS_1_2_ON = {"TLSv1": "refused", "TLSv1.1": "refused", "TLSv1.2": "accepted", "TLSv1.3": "accepted"}
TLS_1_3_ON = {**TLS_1_2_ON, "TLSv1.2": "refused"}


def judge(node, main_cf, **seen):
    with open(node.config_dir + "/main.cf", encoding="utf-8") as handle:
        chains = handle.read()
    node.write(chains + main_cf)
    state = read_state(node.postfix)
    served = describe(active_chains(state, "server")[0][1].certificates, utc_now())
    usual = {
        "starttls": True,
        "plaintext": "accepted",
        "plaintext_reply": "250 2.1.0 Ok",
        "protocols": TLS_1_2_ON,
        "certificate": served,
        "client_certificate": "ignore",
    }
    observation = Observation("127.0.0.1:25", False, **{**usual, **seen})
    return short(node, own_listeners(state)[0], observation)


def short(node, listener, seen):
    """What clients miss, of whom one asks for the listener's own name."""
    return list(shortcomings(listener, seen, shown_for(node.postfix, listener.state, listener.target.name)))


def test_a_lenient_listener_as_it_should_be(tls_node):
    assert judge(tls_node, LENIENT) == []


def test_a_strict_listener_as_it_should_be(tls_node):
    seen = {
        "plaintext": "refused",
        "protocols": TLS_1_3_ON,
        "client_certificate": "require",
        "with_own_certificate": True,
    }
    assert judge(tls_node, STRICT, **seen) == []


@pytest.mark.parametrize(
    ("main_cf", "seen", "problem"),
    [
        (LENIENT, {"error": "connection refused"}, "cannot be talked to"),
        (LENIENT, {"starttls": False, "certificate": None}, "does not offer STARTTLS"),
        (LENIENT, {"plaintext_reply": "530 5.7.0 Must issue"}, "refuses plaintext mail at server level may"),
        (LENIENT, {"protocols": {**TLS_1_2_ON, "TLSv1.1": "accepted"}}, "speaks TLSv1.1 below the floor"),
        (LENIENT, {"protocols": dict.fromkeys(TLS_1_2_ON, "refused")}, "speaks no TLS from TLSv1.2 on"),
        (LENIENT, {"client_certificate": "request"}, "treats client certificates as 'request'"),
        (LENIENT, {"certificate": {"certificate_sha256": "AB"}}, "which is not the active one"),
        (STRICT, {"protocols": TLS_1_3_ON, "client_certificate": "require"}, "takes plaintext mail"),
        (STRICT, {"client_certificate": "require", "with_own_certificate": False}, "refuses this node's own"),
        ("smtpd_tls_security_level = none\n", {}, "offers STARTTLS at server level none"),
    ],
)
def test_a_listener_that_falls_short_is_named(tls_node, main_cf, seen, problem):
    assert any(problem in sentence for sentence in judge(tls_node, main_cf, **seen))


def test_implicit_tls_is_not_judged_by_its_plaintext(tls_node):
    with open(tls_node.config_dir + "/main.cf", "a", encoding="utf-8") as handle:
        handle.write(LENIENT)
    state = read_state(tls_node.postfix)
    seen = Observation(
        "127.0.0.1:465",
        True,
        protocols=TLS_1_2_ON,
        certificate=describe(active_chains(state, "server")[0][1].certificates, utc_now()),
        client_certificate="ignore",
    )
    assert short(tls_node, own_listeners(state)[0], seen) == []


def test_clients_of_each_type_of_key_must_see_a_certificate_that_is_active(node, issue):
    chains = issue(), issue(kind=("rsa", 2048))
    serve(node, *chains)
    shown = {kind: certificate_fingerprint(chain.leaf) for kind, chain in zip(("ecdsa", "rsa"), chains)}
    assert judge(node, LENIENT, by_key_type=shown) == []
    assert judge(node, "", by_key_type={**shown, "rsa": None}) == [
        "shows clients that know rsa alone no certificate, which is not the active one"
    ]
    assert judge(node, "", by_key_type={**shown, "ecdsa": "AB:CD"}) == [
        "shows clients that know ecdsa alone AB:CD, which is not the active one"
    ]


def test_clients_that_ask_for_a_name_must_see_the_certificate_of_that_name(node, issue):
    named, below = issue(names=["mail.example.net"]), issue(names=["*.example.org"])
    serve(node, issue(), hosts=[("mail.example.net", named), (".example.org", below)])
    shown = {
        "mail.example.net": certificate_fingerprint(named.leaf),
        "any.example.org": certificate_fingerprint(below.leaf),
    }
    assert sorted(served_names(node.state)) == sorted(shown)
    assert judge(node, LENIENT, by_name=shown) == []
    path = node.store("certificates", "c0", "1.pem")
    assert judge(node, "", by_name={**shown, "mail.example.net": None}) == [
        f"shows clients that ask for mail.example.net no certificate, which is not the one in {path}"
    ]
    assert judge(node, "", by_name={"mail.example.net": shown["any.example.org"]}) == [
        f"shows clients that ask for mail.example.net {shown['any.example.org']}, which is not the one in {path}"
    ]


def test_one_name_of_each_certificate_is_asked_for(node, issue):
    chain = issue()
    path = write(node.store("certificates", "c", "1.pem"), chain.to_pem())
    rows = "".join(f"mail{number}.example.net\t{path}\n" for number in range(3))
    table = write(node.store("sni", "1", "table"), rows)
    node.write(f"tls_server_sni_maps = hash:{table}\n")
    assert len(served_names(node.state)) == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("554 5.7.1 <h[127.0.0.1]>: Client host rejected: Access denied", "turns this host away: 554 5.7.1 <h"),
        ("550 5.7.1 Service unavailable", "turns this host away: 550"),
        ("421 4.7.0 h Error: too many connections from 127.0.0.1", "turns this host away: 421 4.7.0"),
        ("421 4.3.2 All server ports are busy", "cannot be talked to: 421 4.3.2"),
        ("454 4.7.0 TLS not available due to local problem", "offers STARTTLS and then no TLS: 454 4.7.0"),
        ("454 4.3.0 TLS not available due to local problem", "offers STARTTLS and then no TLS: 454 4.3.0"),
        ("454 4.7.0 Error: too many new TLS sessions from h[127.0.0.1]", "turns this host away: 454"),
        ("[Errno 111] Connection refused", "cannot be talked to: [Errno 111]"),
    ],
)
def test_who_is_turned_away_is_told_apart_from_a_server_in_trouble(tls_node, error, sentence):
    (said,) = judge(tls_node, LENIENT, error=error)
    assert said.startswith(sentence)


def test_a_server_without_a_certificate_is_told_how_to_get_one(node):
    node.write("smtpd_tls_security_level = may\n")
    listener = own_listeners(node.state)[0]
    (said,) = shortcomings(
        listener, Observation("127.0.0.1:25", False, error="454 4.7.0 TLS not available"), Shown(frozenset(), ())
    )
    assert said.endswith("; give it a certificate (smtp_tls_cert, use: [server])")


@pytest.mark.parametrize("side", ["smtpd", "postscreen"])
def test_what_may_hide_starttls_by_address_is_named(tls_node, side):
    hiding = f"{side}_discard_ehlo_keyword_address_maps = cidr:/x\n"
    assert judge(tls_node, LENIENT + hiding, starttls=False, certificate=None) == [
        "does not offer STARTTLS at server level may to this host, from which "
        f"{side}_discard_ehlo_keyword_address_maps may hide it"
    ]


def test_a_service_with_a_certificate_of_its_own_must_show_that(tls_node, issue):
    own = issue(names=["submission.example.com"])
    tls_node.write("smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\n")
    tls_node.override(f"smtp/inet/smtpd_tls_cert_file={write(tls_node.path('own.pem'), own.to_pem())}")
    (listener,) = own_listeners(tls_node.state)
    seen = Observation(
        "127.0.0.1:25",
        False,
        starttls=True,
        plaintext="accepted",
        protocols=TLS_1_2_ON,
        certificate=describe(own.certificates, utc_now()),
        client_certificate="ignore",
    )
    assert short(tls_node, listener, seen) == []
    other = describe(issue().certificates, utc_now())
    seen.certificate = other
    assert short(tls_node, listener, seen) == [
        f"shows the certificate {other['certificate_sha256']}, which is not the active one"
    ]


@pytest.mark.parametrize(("version", "answer"), [("v1", "refused"), ("v2", "refused")])
def test_a_listener_behind_a_proxy_takes_both_versions_of_its_header(tls_node, version, answer):
    taken = {"v1": "accepted", "v2": "accepted"}
    assert judge(tls_node, LENIENT, proxy_protocol=taken) == []
    assert judge(tls_node, "", proxy_protocol={**taken, version: answer}) == [
        f"does not take the header of a proxy in version {version[1:]}"
    ]
