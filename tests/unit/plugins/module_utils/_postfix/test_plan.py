# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import (
    NewFile,
    Plan,
    Shown,
    plan_parameters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import State

MAIN_CF = {"smtpd_tls_security_level": "may", "smtp_tls_CAfile": "$config_directory/ca.pem", "relayhost": ""}
STATE = State("/p", MAIN_CF, {**MAIN_CF, "smtp_tls_CAfile": "/p/ca.pem", "smtp_tls_loglevel": "0"}, ())


@pytest.mark.parametrize(
    ("wanted", "set_", "unset"),
    [
        ({}, {}, ()),
        ({"smtpd_tls_security_level": "may"}, {}, ()),
        ({"smtpd_tls_security_level": "encrypt"}, {"smtpd_tls_security_level": "encrypt"}, ()),
        ({"smtp_tls_CAfile": "/p/ca.pem"}, {}, ()),
        ({"smtp_tls_CAfile": "$config_directory/ca.pem"}, {}, ()),
        ({"smtp_tls_loglevel": "0"}, {"smtp_tls_loglevel": "0"}, ()),
        ({"relayhost": None}, {}, ("relayhost",)),
        ({"smtpd_tls_CApath": None}, {}, ()),
        ({"relayhost": ""}, {}, ()),
    ],
)
def test_only_what_differs_from_main_cf_is_planned(wanted, set_, unset):
    plan = plan_parameters(STATE, wanted)
    assert (plan.set, plan.unset, plan.changed) == (set_, unset, bool(set_ or unset))
    assert plan.summary() == {"set": set_, "unset": list(unset), "services": []}


def test_a_diff_shows_the_lines_of_main_cf_before_and_after():
    plan = plan_parameters(STATE, {"smtpd_tls_security_level": "encrypt", "relayhost": None, "smtp_tls_loglevel": "1"})
    assert plan.diff() == [
        {
            "before_header": "/p/main.cf",
            "after_header": "/p/main.cf",
            "before": "relayhost = \nsmtpd_tls_security_level = may\n",
            "after": "smtp_tls_loglevel = 1\nsmtpd_tls_security_level = encrypt\n",
        }
    ]


def test_a_diff_shows_a_new_service_as_its_line_in_master_cf():
    plan = plan_parameters(STATE, {}, services=("tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy",))
    assert plan.changed
    assert plan.diff() == [
        {
            "before_header": "/p/master.cf",
            "after_header": "/p/master.cf",
            "before": "",
            "after": "tlsproxy unix - - y - 0 tlsproxy\n",
        }
    ]


def test_a_plan_that_has_nothing_to_do_shows_nothing():
    assert plan_parameters(STATE, {"smtpd_tls_security_level": "may"}).diff() == []


def test_a_file_alone_is_a_change_and_its_bytes_are_in_no_representation():
    plan = Plan(files=(NewFile("/p/key.pem", b"PRIVATE", 0o600),), shown=(Shown("certificate default", "", "rsa\n"),))
    assert plan.changed
    assert "PRIVATE" not in repr(plan)
    assert "PRIVATE" not in str(plan.diff()) + str(plan.summary())


def test_files_that_go_do_not_make_a_change_by_themselves():
    assert not Plan(obsolete=("/p/old.pem",)).changed
