# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of a record on this node: a relayhost, a CA that is missing, a table of the operator."""

from __future__ import annotations

import dataclasses
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domain_checks import check_shadowed
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    LOCAL,
    PARTNER,
    SOURCES,
    apply,
    is_refused,
    plan,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


def test_a_route_takes_a_domain_past_the_relayhost(node):
    node.write("relayhost = [smarthost.example]\n")
    planned = plan(node, PARTNER, LOCAL)
    assert (planned.plan.changed, planned.unmet) == (True, None)


def test_a_level_hidden_by_the_relayhost_is_not_met(node):
    node.write("relayhost = [smarthost.example]:587\n")
    assert plan(node, PARTNER, {"name": "bank.example", "level": "encrypt"}).unmet == (
        "domains: bank.example has level encrypt, but its mail goes to [smarthost.example]:587 (relayhost), "
        "so that would never be looked up; give the record a route (smtp_domain_policy), "
        "or take out what sends it there (relayhost)."
    )


@pytest.mark.parametrize("level", ["secure", "verify"])
def test_a_level_that_trusts_a_ca_is_not_met_where_there_is_none(node, level):
    node.defaults["smtp_tls_CApath"] = ""
    assert plan(node, {"name": "a.example", "level": level}).unmet == (
        f"domains: 'a.example' has level {level}, but smtp_tls_CAfile names no CA, so all its mail would be deferred; "
        "set client.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert."
    )
    assert plan(node, {"name": "a.example", "level": level, "mode": "testing"}).unmet is None


@pytest.mark.parametrize(
    ("parameter", "rows", "hidden"),
    [
        ("transport_maps", {"partner.example": "smtp:[old.example]"}, "partner.example"),
        ("transport_maps", {"partner.example": "smtp:[mx.partner.example]:25"}, None),
        ("transport_maps", {"other.example": "smtp:[old.example]"}, None),
        ("transport_maps", {".partner.example": "smtp:[old.example]"}, ".partner.example"),
        ("transport_maps", {"b.partner.example": "smtp:[old.example]"}, None),
        ("smtp_tls_policy_maps", {"[mx.partner.example]:25": "may"}, "[mx.partner.example]:25"),
        ("smtp_tls_policy_maps", {"[mx.partner.example]:25": "secure"}, None),
        ("smtp_tls_policy_maps", {"[mx.partner.example]": "may"}, None),
        ("relay_domains", {"partner.example": "anything"}, None),
    ],
)
def test_a_key_that_an_operators_table_answers_in_another_way_is_refused(node, parameter, rows, hidden):
    path = write(node.path("own"), "".join(f"{key}\t{value}\n" for key, value in rows.items()))
    node.postfix.build_table(path, "hash")
    node.append(f"{parameter} = hash:{path}\n")
    planned = plan(node, {**PARTNER, "local": True, "subdomains": True, "name": "partner.example"})
    if hidden is None:
        check_shadowed(node.postfix, node.state, planned.plan)
        return
    with pytest.raises(InvalidValue) as refusal:
        check_shadowed(node.postfix, node.state, planned.plan)
    assert str(refusal.value) == (
        f"domains: '{hidden}' has an entry in hash:{path} too, which says something else; take it out."
    )


@pytest.mark.parametrize("own", ["hash:/nowhere/own", "pcre:/etc/postfix/own.pcre", "static:smtp:[mx.example]", ""])
def test_only_tables_of_local_files_are_asked(node, own):
    node.append(f"transport_maps = {own}\n")
    planned = plan(node, PARTNER)
    del node.commands[:]
    check_shadowed(node.postfix, node.state, planned.plan)
    assert not [argv for argv in node.commands if argv[0] == "postmap"]


def test_a_table_named_by_way_of_a_parameter_is_asked_too(node):
    path = write(node.path("own"), "partner.example\tsmtp:[old.example]\n")
    node.postfix.build_table(path, "hash")
    node.append("transport_maps = hash:$config_directory/own\n")
    state = node.state
    expanded = {**state.effective, "transport_maps": f"hash:{path}"}
    state = type(state)(**{**vars(state), "effective": expanded})
    planned = plan(node, PARTNER)
    with pytest.raises(InvalidValue, match="has an entry in"):
        check_shadowed(node.postfix, state, planned.plan)


def test_an_operators_transport_that_takes_a_domain_past_its_level_is_refused(node):
    """As a relayhost does: Postfix would look for a policy of [gateway.example]."""
    path = write(node.path("own"), "bank.example\tsmtp:[gateway.example]\n")
    node.postfix.build_table(path, "hash")
    node.append(f"transport_maps = hash:{path}\n")

    def planned():
        made = plan(node, {"name": "bank.example", "level": "secure"})
        check_shadowed(node.postfix, node.state, made.plan)
        return made

    assert is_refused(planned)


def own_table(node, rows):
    path = write(node.path("own"), "".join(f"{key}\t{value}\n" for key, value in rows.items()))
    node.postfix.build_table(path, "hash")
    return path


def shadowed(node, *items, state=None):
    """Whether a table of an operator is in the way."""
    planned = plan(node, *items)
    try:
        check_shadowed(node.postfix, state or node.state, planned.plan)
    except InvalidValue:
        return True
    return planned.unmet is not None


@pytest.mark.parametrize("requiretls", [None, "enforce"])
@pytest.mark.parametrize("level", [None, "encrypt"])
@pytest.mark.parametrize(
    ("routed", "hides"), [("smtp:[gateway.example]", True), ("smtp:", False), ("slow:", False), ("relay:hub", True)]
)
def test_a_transport_with_a_next_hop_hides_what_is_looked_up_by_the_domain(new_node, routed, hides, level, requiretls):
    path = own_table(new_node, {"a.example": routed})
    new_node.append(f"transport_maps = hash:{path}\n")
    record = {"name": "a.example", "level": level, "requiretls": requiretls, "incoming": {"level": "may"}}
    assert shadowed(new_node, record) is (hides and (level or requiretls) is not None)


@pytest.mark.parametrize("kind", ["hash:", "proxy:hash:"])
@pytest.mark.parametrize("lost", ["own", None])
def test_an_operators_table_is_asked_by_way_of_the_proxy_and_without_its_source_too(node, kind, lost):
    path = own_table(node, {"partner.example": "smtp:[old.example]"})
    node.append(f"transport_maps = {kind}{path}\n")
    if lost:
        os.unlink(path)
    assert shadowed(node, PARTNER)


def test_a_source_that_is_asked_last_may_say_what_it_likes(node):
    path = own_table(node, {"[mx.partner.example]:25": "may"})
    apply(node, sources=(f"hash:{path}",))
    effective = {**node.state.effective, "smtp_tls_policy_maps": f"hash:{path}"}
    assert not shadowed(node, PARTNER, state=dataclasses.replace(node.state, effective=effective))
    node.postfix.edit({SOURCES: "hash:/nowhere"})
    assert shadowed(node, PARTNER, state=dataclasses.replace(node.state, effective=effective))


def test_a_run_that_changes_nothing_asks_no_table_of_an_operator(node):
    bank = {"name": "bank.example", "level": "secure"}
    apply(node, bank)
    path = own_table(node, {"bank.example": "smtp:[gateway.example]"})
    node.append(f"transport_maps = hash:{path}\n")
    del node.commands[:]
    assert not shadowed(node, bank)
    assert not node.asked("postmap")


IMPLICIT = {"name": "a.example", "route": "[smtp.a.example]:465"}
SMTPS = "smtps unix - - y - - smtp -o smtp_tls_wrappermode=yes -o smtp_fallback_relay="


def test_hosts_where_tls_comes_first_have_a_client_of_their_own_and_one_for_all(node):
    apply(node, IMPLICIT, {"name": "b.example", "route": "[smtp.b.example]:465", "level": "secure"})
    assert node.state.service("smtps", "unix").entry == SMTPS
    folder = os.path.join(node.config_dir, "smtp_hardening/domains/1")
    assert node.tables[f"{folder}/transport"] == {
        "a.example": "smtps:[smtp.a.example]:465",
        "b.example": "smtps:[smtp.b.example]:465",
    }
    assert node.tables[f"{folder}/tls_policy"] == {"[smtp.a.example]:465": "encrypt", "[smtp.b.example]:465": "secure"}
    assert not plan(node, IMPLICIT).plan.changed


def test_a_record_that_has_expired_or_is_in_testing_sends_where_tls_comes_first(node):
    gone = {**IMPLICIT, "level": "secure", "expires": "2000-01-01"}
    apply(
        node,
        gone,
        {**IMPLICIT, "name": "b.example", "route": "[smtp.b.example]:465", "level": "secure", "mode": "testing"},
    )
    folder = os.path.join(node.config_dir, "smtp_hardening/domains/1")
    assert set(node.tables[f"{folder}/tls_policy"].values()) == {"encrypt"}


def test_an_lmtp_route_has_its_level_in_a_table_of_its_own(node):
    apply(node, {"name": "a.example", "route": "lmtp:[store.example]:24", "level": "encrypt"}, PARTNER)
    folder = os.path.join(node.config_dir, "smtp_hardening/domains/1")
    assert node.tables[f"{folder}/lmtp_policy"] == {"[store.example]:24": "encrypt"}
    assert node.state.explicit["lmtp_tls_policy_maps"] == f"hash:{folder}/lmtp_policy"
    assert "[store.example]:24" not in node.tables[f"{folder}/tls_policy"]


@pytest.mark.parametrize(
    ("services", "given", "problem"),
    [
        (
            "",
            {"route": "nowhere:[a.example]"},
            r"names a transport that master.cf does not have \(nowhere/unix\); name a client",
        ),
        ("mailman unix - n n - - pipe\n", {"route": "mailman:a.example"}, "sends to no host: mailman/unix runs pipe"),
        ("smtps unix - - y - - smtp\n", {"route": "[a.example]:465"}, "master.cf has another of that name"),
        (f"own{SMTPS[5:]}\n", {"route": "own:[a.example]:465"}, "at level none Postfix sends nothing there"),
        (
            f"own{SMTPS[5:]}\n",
            {"route": "own:[a.example]:465", "level": "may"},
            "at level may Postfix sends nothing there",
        ),
        (
            f"own{SMTPS[5:]}\n",
            {"route": "own:[a.example]:465", "level": "dane"},
            "at level dane Postfix sends nothing there; give the record",
        ),
        (
            f"own{SMTPS[5:]}\n",
            {"route": "own:[a.example]:465", "level": "secure", "mode": "testing"},
            "nothing there, as the record is in testing or has expired; take mode or expires out",
        ),
        (
            f"own{SMTPS[5:]}\n",
            {"route": "own:[a.example]:465", "level": "secure", "expires": "2000-01-01"},
            "nothing there, as the record is in testing or has expired; take mode or expires out",
        ),
        (
            "own unix - - y - - lmtp -o lmtp_tls_wrappermode=yes\n",
            {"route": "own:[a.example]:24", "level": "may"},
            r"where TLS comes first \(lmtp_tls_wrappermode\), and at level may",
        ),
        ("", {"route": "lmtp:[a.example]", "level": "dane-only"}, "for which there is no dane-only"),
        ("", {"route": "lmtp:unix:private/x", "level": "encrypt"}, "demands TLS of lmtp:unix:private/x, a socket"),
        ("", {"route": "lmtp:unix:x", "level": "verify", "mode": "testing"}, "demands TLS of lmtp:unix:x, a socket"),
    ],
)
def test_a_route_that_leads_nowhere_is_refused_by_name(node, services, given, problem):
    node.services += services
    with pytest.raises(InvalidValue, match=problem):
        plan(node, {"name": "a.example", **given})


@pytest.mark.parametrize("level", ["encrypt", "secure"])
def test_a_transport_of_ones_own_where_tls_comes_first_is_taken_at_a_level_that_sends(node, level):
    node.services += f"own{SMTPS[5:]}\n"
    apply(node, {"name": "a.example", "route": "own:[a.example]:465", "level": level})
    assert node.state.service("smtps", "unix") is None
