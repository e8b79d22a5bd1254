# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.rollback import (
    needs_restart,
    plan_rollback,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_contents, read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import TODAY, apply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import SERVICES, read, write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import guarded, remedy

SUBMISSION = SERVICES + "submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt\n"


def past(node, main_cf, services=SERVICES):
    """A state that the node was in."""
    node.write(main_cf)
    node.services = services
    author, contents = Author("smtp_settings"), read_contents(node.config_dir)
    history.record(node.config_dir, author, "2026-11-24T12:00:00Z", summary="set", proven=True, contents=contents)


def plan(node, to=1, allow_weaker=False):
    planned = plan_rollback(node.state, history.contents(node.config_dir, history.find(node.config_dir, to)))
    guarded(node, planned, allow_weaker, today=TODAY)
    return planned


@pytest.mark.parametrize(
    ("main_cf", "services", "back"),
    [
        ("myhostname = b\n", SERVICES, ["main.cf"]),
        ("myhostname = a\n", SUBMISSION, ["master.cf"]),
        ("myhostname = b\n", SUBMISSION, ["main.cf", "master.cf"]),
        ("myhostname = a\n", SERVICES, []),
    ],
)
def test_files_that_differ_come_back_whole_and_others_stay(node, main_cf, services, back):
    past(node, "myhostname = a\n")
    node.write(main_cf)
    node.services = services
    planned = plan(node, allow_weaker=True)
    was = {"main.cf": "myhostname = a\n", "master.cf": SERVICES}
    assert {name: content.decode() for name, content in planned.contents.items()} == {name: was[name] for name in back}
    assert planned.changed is bool(back)
    assert planned.diff() == [
        {
            "before_header": node.path(name),
            "after_header": node.path(name),
            "before": read(node.path(name)),
            "after": was[name],
        }
        for name in back
    ]
    assert planned.summary_line() == (f"brought back: {', '.join(back)}" if back else "")


@pytest.mark.parametrize(
    ("then", "now", "lowered"),
    [
        (
            "smtpd_tls_security_level = may\n",
            "smtpd_tls_security_level = encrypt\n",
            "server.level from encrypt to may",
        ),
        ("smtp_tls_security_level = encrypt\n", "smtp_tls_security_level = may\n", None),
        ("smtp_tls_security_level = may\n", "smtp_tls_security_level = secure\n", "client.level from secure to may"),
        (
            "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1\n",
            "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\n",
            "server.minimum_protocol from TLSv1.2 to TLSv1",
        ),
        (
            "smtpd_tls_security_level = encrypt\nsmtpd_tls_ask_ccert = yes\n",
            "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n",
            "server.client_certificates from require to request",
        ),
    ],
)
def test_a_state_that_protects_less_comes_back_only_if_that_is_meant(node, then, now, lowered):
    past(node, then)
    node.write(now)
    if lowered:
        with pytest.raises(HardeningError) as refusal:
            plan(node)
        assert str(refusal.value) == (f"This would lower protection: {lowered}; {remedy(lowered.partition(' ')[0])}")
    assert plan(node, allow_weaker=True).contents["main.cf"].decode() == then


def test_an_override_that_master_cf_loses_is_a_lowering_too(node):
    past(node, "smtpd_tls_security_level = may\n", SUBMISSION.replace("encrypt", "may"))
    node.services = SUBMISSION
    with pytest.raises(HardeningError, match="lower protection: submission/inet.level from encrypt to may;"):
        plan(node)


def test_domains_of_the_old_state_are_held_against_those_of_now(node):
    bank = {"name": "bank.example", "level": "secure", "route": "[mx.bank.example]"}
    apply(node, bank)
    assert plan(node, 1, allow_weaker=True).changed
    with pytest.raises(HardeningError, match="lower protection: domain bank.example.level from secure to none;"):
        plan(node, 1)
    node.write("compatibility_level = 3.9\n")
    assert plan(node, 2).changed


@pytest.mark.parametrize(
    ("then", "needed"),
    [
        ("inet_protocols = ipv4\n", True),
        ("inet_interfaces = loopback-only\n", True),
        ("inet_interfaces = all\n", False),
        ("myhostname = a\n", False),
    ],
)
def test_a_parameter_that_is_read_at_the_start_needs_a_restart_when_it_comes_back(node, then, needed):
    past(node, then)
    state = read_state(node.postfix.at(history.find(node.config_dir, 1).folder))
    node.write("compatibility_level = 3.9\n")
    assert needs_restart(node.state, state) is needed


def test_demands_on_senders_of_the_old_state_are_held_against_those_of_now(node):
    node.append("smtpd_tls_security_level = may\n")
    apply(node, {"name": "bank.example", "incoming": {}})
    with pytest.raises(HardeningError, match="domain bank.example.incoming from encrypt to nothing;"):
        plan(node, 1)


def test_unlisted_senders_of_the_old_state_are_held_against_those_of_now(node):
    apply(node, {"name": "known.example", "incoming": {"level": "may"}}, unlisted=Unlisted.REJECT)
    with pytest.raises(HardeningError, match="unlisted_senders from reject to accept;"):
        plan(node, 1)
    assert plan(node, 1, allow_weaker=True).changed


@pytest.mark.parametrize("content", ["{", "null", '[{"name": "no name"}]', "[{}]"])
def test_broken_records_of_now_are_a_sentence_and_no_crash(node, content):
    apply(node, {"name": "bank.example", "level": "secure"})
    write(node.store("domains/1/records.json"), content)
    with pytest.raises(HardeningError) as refusal:
        plan(node, 1)
    assert f"{node.store('domains/1/records.json')} cannot be read" in str(refusal.value)
    assert str(refusal.value).endswith("(smtp_rollback with allow_weaker: true).")
    assert plan(node, 1, allow_weaker=True).changed


def test_domains_that_were_protected_alike_come_back_without_a_word(node):
    """The tables lie beside main.cf of now, wherever the remembered one lies."""
    apply(node, {"name": "bank.example", "level": "secure", "incoming": {"level": "may"}})
    apply(node, {"name": "other.example", "local": True})
    assert plan(node, 2).changed


def test_an_override_that_comes_back_is_held_against_what_the_service_has_now(node):
    past(node, "smtpd_tls_security_level = encrypt\n", SUBMISSION.replace("encrypt", "may"))
    node.services = SERVICES + "submission inet n - y - - smtpd\n"
    with pytest.raises(HardeningError, match="lower protection: submission/inet.level from encrypt to may;"):
        plan(node)


def test_octets_that_are_no_utf_8_come_back_as_they_were(node):
    contents = {"main.cf": (b"# now\n", b"# M\xfcnchen\n")}
    planned = plan_rollback(node.state, contents)
    assert planned.contents == {"main.cf": b"# M\xfcnchen\n"}
    assert planned.diff()[0]["after"] == "# M\ufffdnchen\n"
