# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.in_force import broken
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import apply, table
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture import configurations
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import posture

BANK = {"name": "bank.example", "level": "encrypt"}
ROUTED = {**BANK, "route": "[mx.bank.example]"}
HUB = "[hub.example]:587"


def problem(node, record, parameters, override=None):
    """What is wrong with a record once main.cf says so."""
    apply(node, record)
    before = posture(node)
    if override:
        node.override(override)
    found = broken(before, posture(node, parameters))
    assert set(found) <= {record["name"]}
    return found.get(record["name"])


@pytest.mark.parametrize(
    ("record", "parameters"),
    [
        (BANK, {}),
        (BANK, {"default_transport": "relay"}),
        (BANK, {"relay_domains": "bank.example"}),
        (BANK, {"smtp_fallback_relay": ""}),
        (BANK, {"default_transport": "error:no mail today"}),
        (ROUTED, {"relayhost": HUB}),
        (ROUTED, {"sender_dependent_relayhost_maps": "ldap:/a.cf"}),
        ({**BANK, "subdomains": True}, {}),
        ({"name": "bank.example", "local": True}, {"relayhost": HUB}),
        ({"name": "bank.example", "route": "[mx.bank.example]"}, {"relayhost": HUB}),
        ({"name": "bank.example", "route": "lmtp:[mx.bank.example]:24"}, {"relayhost": HUB}),
        ({"name": "bank.example", "level": "may", "mode": "testing"}, {}),
        (BANK, {"mydestination": "bank.example"}),
    ],
)
def test_a_record_holds_where_mail_goes_to_the_domain_or_by_its_route(node, record, parameters):
    assert problem(node, record, parameters) is None


@pytest.mark.parametrize(
    ("record", "parameters", "hop"),
    [
        (BANK, {"relayhost": HUB}, f"{HUB} (relayhost)"),
        ({**BANK, "subdomains": True}, {"relayhost": HUB}, f"{HUB} (relayhost)"),
        ({"name": ".bank.example", "level": "encrypt"}, {"relayhost": HUB}, f"{HUB} (relayhost)"),
        ({"name": "lan", "level": "encrypt"}, {"relayhost": HUB}, f"{HUB} (relayhost)"),
        (BANK, {"default_transport": f"smtp:{HUB}"}, f"{HUB} (default_transport)"),
        (BANK, {"relay_domains": "bank.example", "relay_transport": f"smtp:{HUB}"}, f"{HUB} (relay_transport)"),
        (BANK, {"transport_maps": f"inline:{{bank.example=smtp:{HUB}}}"}, f"{HUB} (transport_maps)"),
        (BANK, {"transport_maps": f"static:smtp:{HUB}"}, f"{HUB} (transport_maps)"),
        (BANK, {"relayhost": "[127.0.0.1]:10025"}, "[127.0.0.1]:10025 (relayhost)"),
    ],
)
def test_a_record_does_not_hold_where_mail_goes_elsewhere(node, record, parameters, hop):
    by = hop.partition("(")[2][:-1]
    assert problem(node, record, parameters) == (
        f"domains: {record['name']} has level encrypt, but its mail goes to {hop}, so that would never be looked up; "
        f"give the record a route (smtp_domain_policy), or take out what sends it there ({by})."
    )


def test_some_senders_mail_may_pass_a_record_by(node):
    senders = configurations.table(node, "senders", {"bob@b.example": "[bobs.example]"})
    said = problem(node, BANK, {"sender_dependent_relayhost_maps": senders})
    assert "its mail goes to [bobs.example] (sender_dependent_relayhost_maps)" in said


@pytest.mark.parametrize(
    ("parameter", "source"),
    [
        ("transport_maps", "ldap:/a.cf"),
        ("sender_dependent_relayhost_maps", "ldap:/a.cf"),
        ("sender_dependent_default_transport_maps", "pcre:/a.pcre"),
    ],
)
def test_what_nobody_can_ask_may_pass_a_record_by(node, parameter, source):
    assert problem(node, BANK, {parameter: source}) == (
        f"domains: bank.example has level encrypt, but {parameter} = {source} may send its mail elsewhere; "
        "give the record a route (smtp_domain_policy), or take that out."
    )


@pytest.mark.parametrize(
    ("level", "policy", "holds"),
    [
        ("encrypt", None, True),
        ("secure", None, True),
        ("may", None, False),
        ("may", "encrypt", True),
        ("secure", "may", False),
    ],
)
def test_a_fallback_relay_must_be_as_well_protected(node, level, policy, holds):
    apply(node, ROUTED)
    own = f"hash:{node.store('domains/1/tls_policy')}"
    maps = f"{own}, inline:{{[fallback.example]={policy}}}" if policy else own
    before = posture(node)
    after = posture(
        node,
        {"smtp_fallback_relay": "[fallback.example]", "smtp_tls_security_level": level, "smtp_tls_policy_maps": maps},
    )
    found = broken(before, after).get("bank.example")
    assert found == (
        None
        if holds
        else "domains: bank.example has level encrypt, but its mail may go to [fallback.example] (smtp_fallback_relay); "
        "take that out, or set a level for [fallback.example] as well."
    )


@pytest.mark.parametrize(
    ("parameters", "override"),
    [
        ({"smtp_tls_policy_maps": "static:may, hash:{own}"}, None),
        ({"smtp_tls_policy_maps": "inline:{bank.example=secure}, hash:{own}"}, None),
        ({}, "smtp/unix/smtp_tls_policy_maps="),
    ],
)
def test_a_record_does_not_hold_where_its_table_is_not_asked_first(node, parameters, override):
    own = node.store("domains/1/tls_policy")
    parameters = {name: text.replace("{own}", own) for name, text in parameters.items()}
    assert problem(node, BANK, parameters, override) == (
        "domains: bank.example has level encrypt, but the service smtp/unix does not find that in its "
        "smtp_tls_policy_maps; take its override, or what stands before it, out."
    )


@pytest.mark.parametrize(
    ("record", "parameters", "said"),
    [
        ({"name": "a.example", "requiretls": "enforce"}, {}, None),
        ({"name": "a.example", "requiretls": "enforce", "subdomains": True}, {}, None),
        ({"name": "a.example", "requiretls": "enforce", "route": "[mx.example]"}, {"relayhost": HUB}, None),
        ({"name": "a.example", "requiretls": "enforce"}, {"relayhost": HUB}, "requiretls"),
        ({"name": "a.example", "requiretls": "enforce", "level": "may"}, {"relayhost": HUB}, "level may"),
        ({"name": "a.example", "requiretls": "enforce"}, {"smtp_fallback_relay": HUB}, None),
    ],
)
def test_requiretls_is_looked_up_by_the_next_hop_too(new_node, record, parameters, said):
    found = problem(new_node, record, parameters)
    assert (found is None) is (said is None)
    assert found is None or found.startswith(f"domains: a.example has {said}, but its mail goes to {HUB} (relayhost)")


def test_what_did_not_hold_before_is_held_against_no_change_but_of_the_record(node):
    apply(node, BANK)
    hidden = posture(node, {"relayhost": HUB})
    still = posture(node, {"mail_name": "x"})
    assert broken(hidden, still) == {}
    assert broken(still, hidden) == {}
    apply(node, {**BANK, "owner": "somebody"})
    assert table(node, "tls_policy") == {"bank.example": "encrypt"}
    assert list(broken(hidden, posture(node))) == ["bank.example"]


def test_each_record_that_does_not_hold_is_told_by_its_name(node):
    apply(node, BANK, {"name": "court.example", "level": "secure"}, {**ROUTED, "name": "routed.example"})
    before = posture(node)
    assert list(broken(before, posture(node, {"relayhost": HUB}))) == ["bank.example", "court.example"]
    assert broken(posture(node), before) == {}


@pytest.mark.parametrize("level", ["encrypt", "secure"])
def test_a_record_does_not_hold_where_its_client_waits_for_starttls_again(node, level):
    node.append("smtp_tls_CAfile = /etc/ssl/ca.pem\n")
    record = {"name": "bank.example", "level": level, "route": "[mx.bank.example]:465"}
    told = problem(node, record, {}, override="smtps/unix/smtp_tls_wrappermode=no")
    assert told.startswith("domains: bank.example goes by smtps:[mx.bank.example]:465, where TLS comes first, and")
