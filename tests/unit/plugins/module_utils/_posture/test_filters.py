# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.filters import (
    content_filters,
    proxy_filters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.ways import read_ways
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    posture,
    table,
    weaker,
)

SCAN = "smtp:[scan.example]:10024"
FOUND = f"FILTER {SCAN} in "


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("smtpd_recipient_restrictions", "reject_unauth_destination, check_client_access {table}"),
        ("smtpd_sender_restrictions", "{table}"),
        ("smtpd_data_restrictions", "check_sender_access proxy:{table}"),
        ("header_checks", "{table}"),
        ("body_checks", "{table}"),
        ("mime_header_checks", "pcre:/nowhere, {table}"),
    ],
)
@pytest.mark.parametrize("kind", ["hash", "texthash"])
def test_an_action_of_a_table_sends_mail_elsewhere(node, parameter, value, kind):
    found = table(node, "checks", {"a": "REJECT", "b": f"FILTER {SCAN}"}, kind)
    configuration = configured(node, {parameter: value.format(table=found)})
    assert content_filters(configuration) == {FOUND + parameter: SCAN}


@pytest.mark.parametrize("kind", ["pcre", "regexp", "cidr"])
@pytest.mark.parametrize("word", ["FILTER", "Filter"])
def test_patterns_are_read_where_they_stand(node, kind, word):
    path = write(node.path("checks"), f"/^Subject: a/ {word} {SCAN}\n/b/ DUNNO\n")
    assert content_filters(configured(node, {"header_checks": f"{kind}:{path}"})) == {f"{FOUND}header_checks": SCAN}


@pytest.mark.parametrize(
    "item",
    [
        f"static:{{FILTER {SCAN}}}",
        f"inline:{{{{b = FILTER {SCAN}}}}}",
        f"regexp:{{{{/b/ FILTER {SCAN}}}}}",
        f"unionmap:{{static:{{FILTER {SCAN}}}}}",
        f"pipemap:{{static:x,inline:{{{{x=FILTER {SCAN}}}}}}}",
    ],
)
def test_tables_that_stand_in_the_parameter_itself_are_read_too(node, item):
    assert content_filters(configured(node, {"header_checks": item})) == {f"{FOUND}header_checks": SCAN}


@pytest.mark.parametrize("kind", ["debug:{table}", "pipemap:{{static:x,{table}}}"])
def test_tables_that_another_table_names_are_read_too(node, kind):
    found = table(node, "checks", {"b": f"FILTER {SCAN}"})
    assert content_filters(configured(node, {"header_checks": kind.format(table=found)})) == {
        f"{FOUND}header_checks": SCAN
    }


def test_a_class_of_restrictions_and_a_service_may_name_tables_as_well(node):
    classes, overridden = (table(node, name, {"b": f"FILTER smtp:[{name}]"}) for name in ("one", "two"))
    node.override(f"smtp/inet/smtpd_client_restrictions=check_client_access {overridden}")
    parameters = {"smtpd_restriction_classes": "mine", "mine": f"check_sender_access {classes}"}
    assert content_filters(configured(node, parameters)) == {
        "FILTER smtp:[one] in mine": "smtp:[one]",
        "FILTER smtp:[two] in smtpd_client_restrictions": "smtp:[two]",
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {"header_checks": "pcre:/nowhere"},
        {"header_checks": "mysql:/etc/postfix/FILTER.cf"},
        {"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"},
        {"alias_maps": f"inline:{{b = FILTER {SCAN}}}"},
    ],
)
def test_where_no_action_is_stated_there_is_no_filter(node, parameters):
    assert content_filters(configured(node, parameters)) == {}


def test_a_comment_about_filters_in_the_source_of_a_table_is_no_action(node):
    found = table(node, "checks", {"a": "REJECT"})
    write(found.partition(":")[2], f"# FILTER {SCAN}\na REJECT\n")
    assert content_filters(configured(node, {"header_checks": found})) == {}


@pytest.mark.parametrize(
    ("text", "fallen"),
    [
        ("127.0.0.1:10024", []),
        ("inet:127.0.0.1:10024", []),
        ("unix:private/proxy", []),
        ("inet:scan.example:10024", ["smtpd_proxy_filter of smtp/inet.level from may to none"]),
        ("192.0.2.1:10024", ["smtpd_proxy_filter of smtp/inet.level from may to none"]),
    ],
)
def test_what_smtpd_hands_to_a_proxy_crosses_the_network_in_plaintext(node, text, fallen):
    node.append("smtp_tls_security_level = may\n")
    assert weaker(node, {"smtpd_proxy_filter": text}) == fallen


def test_each_server_may_have_a_proxy_of_its_own(node):
    node.override("smtp/inet/smtpd_proxy_filter=127.0.0.1:10024")
    configuration = configured(node)
    assert proxy_filters(configuration) == {"smtpd_proxy_filter of smtp/inet": "127.0.0.1:10024"}
    (hop,) = read_ways(configuration, ())["smtpd_proxy_filter of smtp/inet"].hops
    assert (hop.next_hop, hop.by, hop.crosses_network) == ("127.0.0.1:10024", "smtpd_proxy_filter", False)


def test_a_new_action_that_sends_mail_out_in_plaintext_lowers_protection(node):
    node.append("smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{[scan.example]:10024=none}\n")
    found = table(node, "checks", {"b": f"FILTER {SCAN}"})
    assert weaker(node, {"header_checks": found}) == [f"{FOUND}header_checks.level from may to none"]
    assert FOUND + "header_checks" in posture(node).ways
