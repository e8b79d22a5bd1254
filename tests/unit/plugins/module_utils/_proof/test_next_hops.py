# SPDX-License-Identifier: GPL-3.0-or-later
"""The next hops that are asked before a level rises, and what is made of the answers."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import next_hops
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.ratchet import posture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import SERVICES

FILTER = "smtp-amavis unix - - n - 2 smtp\n"


def rising(node, main_cf, level="encrypt", services=SERVICES):
    """The hops asked where the client's level rises to this one."""
    node.services = services
    node.append("default_transport = smtp\n" + main_cf)
    before = posture(node.postfix, node.state)
    node.append(f"smtp_tls_security_level = {level}\n")
    return next_hops.rising(before, posture(node.postfix, node.state))


@pytest.mark.parametrize(
    ("main_cf", "found"),
    [
        ("", []),
        ("relayhost = [smart.example]:587\n", [("[smart.example]:587", "relayhost")]),
        ("relayhost = smart.example\n", [("smart.example", "relayhost")]),
        ("default_transport = smtp:[a.example]\n", [("[a.example]", "default_transport")]),
        ("content_filter = smtp-amavis:[127.0.0.1]:10024\n", [("[127.0.0.1]:10024", "content_filter")]),
        ("smtp_fallback_relay = [b.example]\n", [("[b.example]", "smtp_fallback_relay")]),
        ("content_filter = lmtp:unix:/run/filter\n", []),
    ],
)
def test_what_main_cf_names_is_asked_and_what_dns_names_is_not(node, main_cf, found):
    hops = rising(node, main_cf, services=SERVICES + FILTER + "lmtp unix - - y - - lmtp\n")
    assert [(hop.next_hop, hop.by) for hop in hops] == found


def test_nothing_is_asked_where_no_level_rises_to_a_mandatory_one(node):
    assert rising(node, "relayhost = [smart.example]\nsmtp_tls_security_level = encrypt\n") == []
    assert rising(node, "", level="may") == []


def asked(node, said, level="encrypt", main_cf="relayhost = [smart.example]:587\n"):
    commands = []

    def run(argv, stdin=None):
        commands.append(argv)
        return Completed(0, said, "")

    hops = rising(node, main_cf, level, SERVICES + FILTER)
    return next_hops.ask_all(Postfix(run, node.config_dir), node.state, hops), commands


TLS = "posttls-finger: Untrusted TLS connection established to a[192.0.2.1]:25: TLSv1.3\n"


def test_postfixs_own_client_is_asked_at_the_level_that_is_to_hold(node):
    found, commands = asked(node, TLS)
    assert [(hop.service, hop.level, hop.delivered, hop.tls) for hop in found] == [
        ("smtp/unix", "encrypt", True, "Untrusted")
    ]
    assert commands[0][2:4] == ["posttls-finger", "-c"]
    assert commands[0][commands[0].index("-l") + 1] == "encrypt" and commands[0][-1] == "[smart.example]:587"
    next_hops.refuse_cut_off(found)
    assert list(next_hops.warnings(found)) == []


def test_a_smarthost_that_would_be_cut_off_is_told_and_not_refused(node):
    found, _commands = asked(node, "")
    next_hops.refuse_cut_off(found)
    assert list(next_hops.warnings(found)) == [
        "Mail for [smart.example]:587 (relayhost, smtp/unix) would wait at level encrypt: no TLS session was made."
    ]


def test_a_content_filter_that_would_be_cut_off_is_refused_with_the_exception_to_write(node):
    found, _commands = asked(node, "", main_cf="content_filter = smtp-amavis:[127.0.0.1]:10024\n")
    with pytest.raises(HardeningError) as refusal:
        next_hops.refuse_cut_off(found)
    assert str(refusal.value) == (
        "client.level: encrypt would hold back all mail for [127.0.0.1]:10024 (content_filter), to which smtp-amavis/unix sends: "
        "no TLS session was made; state the exception in services, as {name: smtp-amavis/unix, level: may}."
    )


def test_a_host_of_its_own_that_would_be_cut_off_is_refused_with_the_record_to_write():
    hop = next_hops.NextHop(
        "relay/unix", "[::1]:26", "transport_maps", "encrypt", False, None, "no TLS session was made"
    )
    with pytest.raises(HardeningError) as refusal:
        next_hops.refuse_cut_off([hop])
    assert str(refusal.value) == (
        "level: encrypt would hold back all mail for [::1]:26 (transport_maps), to which relay/unix sends: "
        "no TLS session was made; give the record that has this route level: may."
    )


def test_a_command_that_fails_is_told_as_the_reason(node):
    def run(argv, stdin=None):
        raise HardeningError("posttls-finger is missing.")

    hops = rising(node, "relayhost = [smart.example]\n")
    found = next_hops.ask_all(Postfix(run, node.config_dir), node.state, hops)
    assert [(hop.delivered, hop.reason) for hop in found] == [(False, "posttls-finger is missing.")]


SMTPS = "smtps unix - - y - - smtp -o smtp_tls_wrappermode=yes\n"


@pytest.mark.parametrize(
    ("main_cf", "told"),
    [
        ("relayhost = [smart.example]:465\n", True),
        ("relayhost = [smart.example]:587\n", False),
        ("relayhost = [smart.example]:465\ndefault_transport = smtps\nrelay_transport = smtps\n", False),
        ("relayhost = [smart.example]:465\nsmtp_tls_wrappermode = yes\n", False),
        ("transport_maps = inline:{ { a.example = smtp:[smart.example]:465 } }\n", False),
        ("smtp_fallback_relay = [smart.example]:465\n", True),
    ],
)
def test_a_port_where_tls_comes_first_is_told_where_the_client_waits_for_starttls(node, main_cf, told):
    node.services = SERVICES + SMTPS
    before = posture(node.postfix, node.state)
    node.append(main_cf)
    found = list(next_hops.misled(before, posture(node.postfix, node.state)))
    assert bool(found) is told and all("would wait: hosts speak TLS first at port 465" in one for one in found)
    assert list(next_hops.misled(posture(node.postfix, node.state), posture(node.postfix, node.state))) == []


SMART = "[smart.example]:587"
ROUTED = f"relayhost = {SMART}\nsmtp_tls_security_level = secure\n"


@pytest.mark.parametrize(
    ("later", "asked"),
    [
        ("", False),
        ("smtp_tls_loglevel = 1\n", False),
        ("smtp_tls_policy_maps = inline:{[smart.example]:587=secure}\n", False),
        ("smtp_tls_secure_cert_match = other.example\n", True),
        ("smtp_tls_policy_maps = inline:{{[smart.example]:587=secure match=other.example}}\n", True),
        ("smtp_tls_policy_maps = inline:{{[smart.example]:587=secure servername=other.example}}\n", True),
        ("smtp_tls_mandatory_protocols = >=TLSv1.3\n", True),
        ("smtp_tls_mandatory_ciphers = high\n", True),
        ("smtp_tls_wrappermode = yes\n", True),
        ("smtp_tls_CAfile = /etc/ssl/other.pem\n", True),
        ("smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = >=TLSv1.3\n", False),
    ],
)
def test_a_next_hop_is_asked_again_where_it_is_held_to_something_else(node, later, asked):
    node.append(f"{ROUTED}default_transport = smtp\n")
    before = posture(node.postfix, node.state)
    node.append(later)
    found = next_hops.rising(before, posture(node.postfix, node.state))
    assert [hop.next_hop for hop in found] == [SMART] * asked


AS_RELAY = "smtp_sasl_tls_security_options = noplaintext\nsmtp_sasl_tls_verified_security_options = noanonymous\n"


@pytest.mark.parametrize(
    ("main_cf", "told"),
    [
        (f"{AS_RELAY}smtp_tls_security_level = secure\n", None),
        (f"{AS_RELAY}smtp_tls_security_level = encrypt\n", "at level encrypt (smtp_sasl_tls_security_options)"),
        (f"{AS_RELAY}smtp_tls_security_level = may\n", "at level may (smtp_sasl_tls_security_options)"),
        ("smtp_sasl_security_options = noplaintext\n", "at level none (smtp_sasl_security_options)"),
        ("smtp_tls_security_level = may\nsmtp_sasl_tls_security_options = noanonymous\n", None),
        (
            "smtp_tls_security_level = secure\nsmtp_sasl_tls_verified_security_options = noplaintext, noanonymous\n",
            "at level secure (smtp_sasl_tls_verified_security_options)",
        ),
    ],
)
def test_a_next_hop_that_would_be_shown_no_password_is_told(node, main_cf, told):
    node.append(f"default_transport = smtp\nrelayhost = {SMART}\n{main_cf}")
    after = posture(node.postfix, node.state)
    found = list(next_hops.kept_back(after, {SMART, "@shop.example"}))
    assert bool(found) is bool(told) and all(told in one for one in found)
    assert list(next_hops.kept_back(after, {"[other.example]:587"})) == []


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (SMART, False),
        ("smart.example", False),
        ("@shop.example", False),
        ("[smart.example]:578", True),
        ("smart.example:587", True),
        ("shop.example", True),
    ],
)
def test_a_password_that_stands_for_nothing_is_told(node, key, told):
    node.append(f"default_transport = smtp\nrelayhost = {SMART}\n")
    found = list(next_hops.unused(posture(node.postfix, node.state), {key}))
    assert bool(found) is told and all(f"no mail goes to {key}," in one for one in found)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("timeout while reading server greeting", "if TLS comes first there"),
        ("SSL_connect error to a[192.0.2.1]:587: -1", "if TLS does not come first there"),
        ("connect to a[192.0.2.1]:587: Connection refused", "refused."),
    ],
)
def test_the_other_kind_of_tls_is_named_where_it_may_be_meant(reason, advice):
    hop = next_hops.NextHop("smtp/unix", SMART, "relayhost", "secure", False, None, reason)
    assert advice in next(next_hops.warnings([hop]))
