# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import (
    NewFile,
    Plan,
    Shown,
    plan_parameters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import Service, State

MAIN_CF = {"smtpd_tls_security_level": "may", "smtp_tls_CAfile": "$config_directory/ca.pem", "relayhost": ""}
DEFAULTS = {"relayhost": "", "smtpd_tls_security_level": "", "smtp_tls_CAfile": "", "smtp_tls_loglevel": "0"}
EFFECTIVE = {**DEFAULTS, **MAIN_CF, "smtp_tls_CAfile": "/p/ca.pem"}
STATE = State("/p", MAIN_CF, EFFECTIVE, (), DEFAULTS)


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
    assert plan.summary() == {
        "set": set_,
        "unset": list(unset),
        "services": [],
        "services_gone": [],
        "overrides": {},
        "contents": [],
    }


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


SUBMISSION = Service("submission", "inet", "y", "smtpd", {"a": "1", "b": "2"}, "submission inet n - y - - smtpd")
SERVED = State("/p", MAIN_CF, EFFECTIVE, (SUBMISSION,), DEFAULTS)


@pytest.mark.parametrize(
    ("wanted", "changed", "after"),
    [
        ({}, {}, {"a": "1", "b": "2"}),
        ({"submission/inet/a": "1"}, {}, {"a": "1", "b": "2"}),
        ({"submission/inet/a": "9"}, {"submission/inet/a": "9"}, {"a": "9", "b": "2"}),
        ({"submission/inet/c": "3"}, {"submission/inet/c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        ({"submission/inet/b": None}, {"submission/inet/b": None}, {"a": "1"}),
        ({"submission/inet/c": None}, {}, {"a": "1", "b": "2"}),
        ({"smtp/inet/a": "9"}, {"smtp/inet/a": "9"}, {"a": "1", "b": "2"}),
    ],
)
def test_only_overrides_that_differ_from_master_cf_are_planned(wanted, changed, after):
    plan = plan_parameters(SERVED, {}, overrides=wanted)
    assert (plan.overrides, plan.changed, plan.summary()["overrides"]) == (changed, bool(changed), changed)
    assert plan.overrides_after(SUBMISSION) == after


def test_a_diff_shows_services_and_overrides_as_lines_of_master_cf():
    overrides = {"submission/inet/a": "9", "submission/inet/b": None}
    (shown,) = plan_parameters(SERVED, {}, services=("x/unix=x unix - - y - 0 x",), overrides=overrides).diff()
    assert (shown["before_header"], shown["after_header"]) == ("/p/master.cf", "/p/master.cf")
    assert shown["before"] == "submission/inet/a = 1\nsubmission/inet/b = 2\n"
    assert shown["after"] == "x unix - - y - 0 x\nsubmission/inet/a = 9\n"


def test_what_will_hold_is_what_is_set_and_the_default_of_what_is_taken_out():
    plan = Plan(set={"smtp_tls_loglevel": "1"}, unset=("smtpd_tls_security_level", "my_note"))
    assert plan.effective_after(STATE) == {
        "smtpd_tls_security_level": "",
        "smtp_tls_CAfile": "/p/ca.pem",
        "relayhost": "",
        "smtp_tls_loglevel": "1",
    }


@pytest.mark.parametrize(
    ("plan", "needed"),
    [
        (Plan(), False),
        (Plan(set={"myhostname": "a"}), False),
        (Plan(set={"inet_protocols": "ipv4"}), True),
        (Plan(unset=("inet_interfaces",)), True),
    ],
)
def test_a_parameter_that_is_read_at_the_start_needs_a_restart(plan, needed):
    assert plan.needs_restart is needed


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (Plan(), ""),
        (Plan(set={"b": "1", "a": "2"}, unset=("c",)), "set: b, a; taken out: c"),
        (Plan(services=("x/unix=x unix - - y - 0 x",)), "services: x/unix"),
        (Plan(gone=("x/unix", "y/inet")), "taken out: x/unix, y/inet"),
        (
            Plan(unset=("c",), gone=("x/unix",), overrides={"465/inet/a": None}),
            "taken out: c, x/unix, 465/inet/a",
        ),
        (Plan(set={"c": "1"}, overrides={"465/inet/a": "1"}), "set: c, 465/inet/a"),
        (
            Plan(overrides={"465/inet/a": "1", "465/inet/b": None}),
            "set: 465/inet/a; taken out: 465/inet/b",
        ),
        (Plan(files=(NewFile("/p/smtp_hardening/trust/2.pem", b""),)), "files: trust/2.pem"),
        (Plan(contents={"main.cf": b"", "master.cf": b""}), "brought back: main.cf, master.cf"),
    ],
)
def test_the_history_says_of_a_plan_what_it_does_in_one_line(plan, line):
    assert plan.summary_line() == line


def test_whole_files_are_a_change_and_their_bytes_are_in_no_summary():
    plan = Plan(contents={"main.cf": b"myhostname = old.example.com\n"})
    assert plan.changed
    assert plan.summary() == {
        "set": {},
        "unset": [],
        "services": [],
        "services_gone": [],
        "overrides": {},
        "contents": ["main.cf"],
    }


TWO = State(
    "/p", MAIN_CF, EFFECTIVE, (SUBMISSION, Service("x", "unix", "y", "x", {}, "x unix - - y - 0 x -v")), DEFAULTS
)


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"gone": ("submission/inet",)}, "submission inet n - y - - smtpd\n", ""),
        ({"gone": ("x/unix", "submission/inet")}, "submission inet n - y - - smtpd\nx unix - - y - 0 x -v\n", ""),
        ({"services": ("x/unix=x unix - - n - 0 x -v",)}, "x unix - - y - 0 x -v\n", "x unix - - n - 0 x -v\n"),
        ({"services": ("y/unix=y unix - - n - 0 y -o a=b",)}, "", "y unix - - n - 0 y -o a=b\n"),
        (
            {"services": ("x/unix=x unix - - n - 0 x -v", "y/unix=y unix - - n - 0 y"), "gone": ("submission/inet",)},
            "submission inet n - y - - smtpd\nx unix - - y - 0 x -v\n",
            "x unix - - n - 0 x -v\ny unix - - n - 0 y\n",
        ),
        (
            {"gone": ("x/unix",), "overrides": {"submission/inet/a": "9"}},
            "x unix - - y - 0 x -v\nsubmission/inet/a = 1\n",
            "submission/inet/a = 9\n",
        ),
    ],
)
def test_a_diff_shows_entries_that_come_change_and_go_as_lines_of_master_cf(changes, before, after):
    plan = plan_parameters(TWO, {}, **changes)
    assert plan.changed
    assert plan.diff() == [
        {"before_header": "/p/master.cf", "after_header": "/p/master.cf", "before": before, "after": after}
    ]


def test_an_entry_that_goes_is_a_change_by_itself_and_told_of():
    plan = Plan(gone=("x/unix",))
    assert plan.changed
    assert plan.summary()["services_gone"] == ["x/unix"]
    assert (plan.summary()["services"], plan.summary()["unset"]) == ([], [])


def test_main_cf_comes_first_in_a_diff_then_master_cf_then_the_rest():
    rest = (Shown("secrets for smtp_sasl_password_maps", "", "1 entries\n"),)
    plan = plan_parameters(TWO, {"relayhost": None}, gone=("x/unix",), shown=rest)
    assert [part["after_header"] for part in plan.diff()] == ["/p/main.cf", "/p/master.cf", rest[0].title]


def test_an_entry_whose_type_only_begins_alike_is_not_shown_as_gone():
    names = [Service("x", kind, "y", "x", {}, f"x {kind} - - y - 0 x") for kind in ("unix-dgram", "unix")]
    (shown,) = plan_parameters(State("/p", MAIN_CF, EFFECTIVE, tuple(names), DEFAULTS), {}, gone=("x/unix",)).diff()
    assert shown["before"] == "x unix - - y - 0 x\n"


@pytest.mark.parametrize("wanted", ["a b", " a  b ", "a\tb"])
def test_blanks_that_postconf_does_not_show_are_no_difference(node, wanted):
    node.append("smtpd_banner = a b\n")
    assert not plan_parameters(node.state, {"smtpd_banner": wanted}).changed
    assert plan_parameters(node.state, {"smtpd_banner": "a c"}).changed
