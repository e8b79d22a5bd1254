# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.entries import read_entries
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import read_settings
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.settings import (
    SettingsWish,
    plan_settings,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import SERVICES, change, picture, write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import guarded


def plan(node, parameters=None, where_known=None, services=(), allow_weaker=False):
    settings = read_settings(parameters or {}, where_known or {}, [])
    planned = plan_settings(node.state, SettingsWish(settings, read_entries(services)))
    guarded(node, planned, allow_weaker)
    return planned


@pytest.mark.parametrize(
    ("parameters", "where_known", "set_", "unset"),
    [
        ({}, {}, {}, ()),
        ({}, {"relayhost": "[mx]"}, {"relayhost": "[mx]"}, ()),
        ({}, {"smtpd_forbid_bare_newline": True}, {}, ()),
        ({}, {"relayhost": "[mx]", "smtpd_forbid_bare_newline": True}, {"relayhost": "[mx]"}, ()),
        ({"smtpd_forbid_bare_newline": True}, {}, {"smtpd_forbid_bare_newline": "yes"}, ()),
        ({"relayhost": "[a]"}, {"relayhost": "[b]"}, {"relayhost": "[b]"}, ()),
        ({}, {"inet_protocols": None}, {}, ("inet_protocols",)),
        ({}, {"my_own_note": None}, {}, ()),
    ],
)
def test_a_parameter_of_some_versions_is_set_where_this_postfix_knows_it(node, parameters, where_known, set_, unset):
    node.append("inet_protocols = ipv4\nmy_own_note = x\n")
    found = plan(node, parameters, where_known)
    assert (found.set, found.unset) == (set_, unset)


@pytest.mark.parametrize("where", ["parameters", "where_known"])
def test_our_demands_stay_first_wherever_the_list_is_set(node, where):
    node.defaults["smtpd_sender_restrictions"] = ""
    ours = f"check_sender_access hash:{node.store('domains/3/senders')}"
    write(node.store("domains/3/records.json"), "[]")
    node.append(f"smtpd_sender_restrictions = {ours}\n")
    found = plan(node, **{where: {"smtpd_sender_restrictions": ["reject_non_fqdn_sender"]}})
    assert found.set == {"smtpd_sender_restrictions": f"{ours}, reject_non_fqdn_sender"}


STRICT = (
    "submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_tls_mandatory_protocols=>=TLSv1.2\n"
)


@pytest.mark.parametrize(
    ("item", "lowered"),
    [
        ({"parameters": {"smtpd_tls_security_level": "may"}}, "submission/inet.level from encrypt to may"),
        ({"parameters": {"smtpd_tls_security_level": "none"}}, "submission/inet.level from encrypt to none"),
        ({"parameters": {"smtpd_tls_security_level": None}}, "submission/inet.level from encrypt to may"),
        (
            {"parameters": {"smtpd_tls_mandatory_protocols": None}},
            "submission/inet.minimum_protocol from TLSv1.2 to TLSv1",
        ),
        (
            {
                "command": "postscreen",
                "parameters": {"smtpd_tls_security_level": None, "smtpd_tls_mandatory_protocols": None},
            },
            "submission/inet.level from encrypt to may",
        ),
    ],
)
def test_a_listener_protects_no_less_unless_that_is_said(node, item, lowered):
    node.append("smtpd_tls_security_level = may\n")
    node.services = SERVICES + STRICT
    before = picture(node.config_dir)
    with pytest.raises(HardeningError, match=f"This would lower protection: {lowered};"):
        plan(node, services=[{"name": "submission", **item}])
    assert picture(node.config_dir) == before
    change(node, plan(node, services=[{"name": "submission", **item}], allow_weaker=True))
    assert not plan(node, services=[{"name": "submission", **item}]).changed


def test_a_service_that_is_first_told_something_of_tls_is_held_against_main_cf(node):
    node.append("smtpd_tls_security_level = encrypt\nsmtp_tls_security_level = encrypt\n")
    for name, parameter in (("smtp/inet", "smtpd_tls_security_level"), ("smtp/unix", "smtp_tls_security_level")):
        item = {"name": name, "parameters": {parameter: "may"}}
        with pytest.raises(HardeningError, match=f"lower protection: {name}.level from encrypt to may;"):
            plan(node, services=[item])
        assert plan(node, services=[{"name": name, "parameters": {parameter: "encrypt"}}]).changed


@pytest.mark.parametrize(
    "item",
    [
        {"name": "submission", "parameters": {"smtpd_tls_mandatory_protocols": ">=TLSv1.3"}},
        {"name": "submission", "parameters": {"syslog_name": "x"}},
        {"name": "submission", "process_limit": "5"},
        {"name": "submission", "state": "absent"},
        {"name": "465", "command": "smtpd", "parameters": {"smtpd_tls_security_level": "none"}},
    ],
)
def test_what_lowers_nothing_needs_no_word(node, item):
    node.services = SERVICES + STRICT
    assert plan(node, services=[item]).changed


def test_everything_that_is_asked_at_once_is_one_plan(node):
    node.services = SERVICES + STRICT
    services = [
        {"name": "submission", "state": "absent"},
        {"name": "465", "command": "smtpd", "parameters": {"smtpd_tls_wrappermode": True}},
    ]
    found = plan(node, {"myhostname": "mx2.example.com"}, {"relayhost": "[mx]"}, services)
    assert found.summary() == {
        "set": {"myhostname": "mx2.example.com", "relayhost": "[mx]"},
        "unset": [],
        "services": ["465/inet=465 inet n - y - - smtpd"],
        "services_gone": ["submission/inet"],
        "overrides": {"465/inet/smtpd_tls_wrappermode": "yes"},
        "contents": [],
    }
    assert [(part["before"], part["after"]) for part in found.diff()] == [
        ("", "myhostname = mx2.example.com\nrelayhost = [mx]\n"),
        (STRICT, "465 inet n - y - - smtpd\n465/inet/smtpd_tls_wrappermode = yes\n"),
    ]
    assert found.summary_line() == (
        "set: myhostname, relayhost, 465/inet/smtpd_tls_wrappermode; taken out: submission/inet; services: 465/inet"
    )
