# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.configuration import Configuration
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import TODAY, TOMORROW, apply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    service,
)

BANK = {"name": "bank.example", "level": "encrypt"}
LATER = TODAY.replace(month=5)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("smtp_tls_security_level", None, "may"),
        ("smtp_tls_security_level", "relay/unix", "secure"),
        ("smtp_tls_security_level", "smtp/unix", "may"),
        ("smtp_helo_name", "relay/unix", ""),
        ("smtp_helo_name", None, "mx1.example.com"),
        ("no_such_parameter", None, ""),
    ],
)
def test_a_parameter_is_what_holds_for_a_service(node, name, key, value):
    node.override("relay/unix/smtp_tls_security_level=secure", "relay/unix/smtp_helo_name=")
    configuration = configured(node, {"smtp_tls_security_level": "may", "smtp_helo_name": "$myhostname"})
    assert configuration.parameter(name, key and service(node, key)) == value


def test_a_planned_file_is_read_before_it_lies_there(node):
    path = write(node.path("there"), "old")
    configuration = configured(node, planned={path: b"new", "/not/yet": b"too"})
    assert (configuration.read(path), configuration.read("/not/yet")) == (b"new", b"too")
    assert configured(node).read(path) == b"old"


def test_a_file_that_cannot_be_read_is_none(node):
    configuration = configured(node)
    assert configuration.read("/nowhere/at/all") is None
    assert configuration.read(node.config_dir) is None


def test_a_file_that_somebody_else_led_to_is_not_read(node):
    """As _given.py refuses it: nobody reads by way of root what they may not read themselves."""
    open_to_all = node.path("open")
    os.mkdir(open_to_all)
    secret = write(node.path("secret"), "secret")
    os.chmod(secret, 0o600)
    os.symlink(secret, f"{open_to_all}/link")
    os.chmod(open_to_all, 0o777)
    os.lchown(f"{open_to_all}/link", 65534, 65534)
    assert configured(node).read(f"{open_to_all}/link") is None


def test_the_records_are_those_that_its_tables_were_made_from(node):
    assert configured(node).records() == ()
    apply(node, BANK)
    apply(node, {"name": "agency.example", "level": "may"})
    assert [record.name for record in configured(node).records()] == ["agency.example", "bank.example"]


def test_records_are_read_from_where_they_are_about_to_lie(node):
    apply(node, BANK)
    records = node.store("domains/1/records.json")
    assert configured(node, planned={records: b"[]"}).records() == ()


@pytest.mark.parametrize("content", [None, "{", "null", "[{}]", '[{"name": "no name"}]'])
def test_records_that_are_lost_or_broken_are_a_sentence(node, content):
    apply(node, BANK)
    records = node.store("domains/1/records.json")
    os.unlink(records) if content is None else write(records, content)
    with pytest.raises(PostfixError) as problem:
        configured(node).records()
    assert str(problem.value).startswith(f"{records} cannot be read")


def policy(configuration: Configuration):
    return configuration.maps.find(configuration.parameter("smtp_tls_policy_maps"), "bank.example").value


def test_a_record_that_has_expired_holds_no_more_though_its_table_still_says_so(node):
    apply(node, {**BANK, "expires": TOMORROW})
    live = configured(node)
    assert (policy(live), policy(live.renewed(TODAY))) == ("encrypt", "encrypt")
    assert live.renewed(TODAY) is live
    assert policy(live.renewed(LATER)) is None
    assert policy(live) == "encrypt"


def test_a_domain_stays_where_it_was_routed_after_its_level_has_expired(node):
    apply(node, {**BANK, "expires": TOMORROW, "route": "[mx.bank.example]"})
    renewed = configured(node).renewed(LATER)
    assert renewed.maps.find(renewed.parameter("transport_maps"), "bank.example").value == "smtp:[mx.bank.example]"
    assert renewed.maps.find(renewed.parameter("smtp_tls_policy_maps"), "[mx.bank.example]").value is None


def test_without_records_nothing_can_expire(node):
    configuration = configured(node)
    assert configuration.renewed(LATER) is configuration
