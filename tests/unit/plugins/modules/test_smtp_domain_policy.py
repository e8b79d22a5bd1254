# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_domain_policy
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import explicit
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

OPTIONS = {
    "domains": [],
    "src": None,
    "exclusive": False,
    "unlisted_senders": None,
    "policy_sources": None,
    "dnssec_test": None,
    "tls_required_no": None,
    "allow_weaker": False,
    "task": "Route it",
}
KNOWN = {"name": "known.example", "incoming": {"level": "may"}}
ROUTED = {"name": "routed.example", "route": "[mx.routed.example]"}


def run(node, *domains, check_mode=False, **over):
    return smtp_domain_policy.work(node.postfix, {**OPTIONS, "domains": list(domains), **over}, check_mode)


def test_records_before_and_after_are_returned(node):
    run(node, KNOWN)
    result = run(node, ROUTED)
    assert [record["name"] for record in result["before"]] == ["known.example"]
    assert [record["name"] for record in result["after"]] == ["known.example", "routed.example"]


def test_a_file_that_reaches_the_node_is_refused(node):
    with pytest.raises(InvalidValue, match="^src: 'domains.csv' is read on the controller"):
        run(node, src="domains.csv")
    assert node.commands == []


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_table_of_an_operator_that_says_something_else_stops_the_run(node, check_mode):
    path = write(node.path("own"), "routed.example\tsmtp:[old.example]\n")
    node.postfix.build_table(path, "hash")
    node.append(f"transport_maps = hash:{path}\n")
    before = explicit(node)
    with pytest.raises(InvalidValue, match="has an entry in hash:"):
        run(node, ROUTED, check_mode=check_mode)
    assert explicit(node) == before


def test_an_empty_list_takes_the_sources_away_and_none_leaves_them(node):
    run(node, policy_sources=["cdb:/sts"])
    assert not run(node)["changed"]
    assert run(node, policy_sources=[])["changed"]
    assert explicit(node) == {}


def test_sources_and_names_that_the_task_states_need_no_further_word(node):
    node.append("smtp_tls_security_level = may\n")
    bank = {"name": "bank.example", "level": "secure", "match": ["a.example"]}
    run(node, bank)
    result = run(node, {**bank, "match": ["b.example"]}, policy_sources=["socketmap:inet:127.0.0.1:8461:postfix"])
    assert {item["name"] for item in result["lowered"]} == {"other mail.policy", "domain bank.example.match"}


@pytest.mark.parametrize(
    ("allow_weaker", "allowed"),
    [(False, False), (["domain court.example"], False), (["domain bank.example"], True), (True, True)],
)
def test_a_domain_is_protected_less_only_where_it_is_named(node, allow_weaker, allowed):
    run(node, {"name": "bank.example", "level": "encrypt"})
    gone = {"name": "bank.example", "state": "absent"}
    if allowed:
        assert "domain bank.example.level" in [
            item["name"] for item in run(node, gone, allow_weaker=allow_weaker)["lowered"]
        ]
        return
    with pytest.raises(HardeningError, match="lower protection: domain bank.example.level from encrypt to none"):
        run(node, gone, allow_weaker=allow_weaker)


@pytest.mark.parametrize(("unlisted", "refused"), [(None, False), ("accept", False), ("warn", False), ("reject", True)])
def test_mail_from_an_expired_domain_is_refused_only_where_all_unlisted_mail_is(node, unlisted, refused):
    expired = {"name": "old.example", "incoming": {"level": "may"}, "expires": "2020-01-01"}
    (warning,) = run(node, KNOWN, expired, unlisted_senders=unlisted)["warnings"]
    assert warning.startswith("old.example expired: ")
    assert ("so that mail from it is refused" in warning) is refused


@pytest.mark.parametrize(
    ("record", "unlisted", "warned"),
    [
        (ROUTED, None, False),
        (ROUTED, "accept", False),
        (ROUTED, "warn", True),
        (KNOWN, None, True),
        (KNOWN, "reject", True),
    ],
)
def test_a_listener_that_passes_the_demands_by_is_named_where_there_are_any(node, record, unlisted, warned):
    node.services += "submission inet n - y - - smtpd -o smtpd_sender_restrictions=permit\n"
    assert (
        run(node, record, unlisted_senders=unlisted)["warnings"]
        == [
            "master.cf: submission/inet overrides smtpd_sender_restrictions, so nothing is demanded of mail that comes in there."
        ]
        * warned
    )
