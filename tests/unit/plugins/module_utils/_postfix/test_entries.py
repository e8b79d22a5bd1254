# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.entries import read_entries
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import read_settings
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.entries import (
    EntryChanges,
    entry_changes,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.settings import (
    SettingsWish,
    plan_settings,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import SERVICES, change

NOTHING = EntryChanges((), {}, ())
LISTENERS = "submission inet n - y - 100 smtpd -o syslog_name=postfix/submission -o smtpd_sasl_auth_enable=yes\n"


def changes(node, *items):
    return entry_changes(node.state, read_entries(items))


def plan(node, *items):
    return plan_settings(node.state, SettingsWish(read_settings({}, {}, []), read_entries(items)))


@pytest.fixture
def submitting(node):
    """A node that takes mail of its users, too."""
    node.services = SERVICES + LISTENERS
    return node


@pytest.mark.parametrize(
    ("item", "entry"),
    [
        ({"name": "submission"}, "submission inet n - y - - smtpd"),
        ({"name": "submission", "chroot": True}, "submission inet n - y - - smtpd"),
        ({"name": "submission", "chroot": False}, "submission inet n - n - - smtpd"),
        ({"name": "submission", "process_limit": "default"}, "submission inet n - y - - smtpd"),
        ({"name": "submission", "process_limit": "0"}, "submission inet n - y - 0 smtpd"),
        ({"name": "[::1]:10025", "process_limit": "7"}, "[::1]:10025 inet n - y - 7 smtpd"),
        ({"name": "smtpd/pass"}, "smtpd pass - - y - - smtpd"),
        ({"name": "slow/unix"}, "slow unix - - y - - smtpd"),
        ({"name": "tlsproxy/unix", "command": "tlsproxy"}, "tlsproxy unix - - y - 0 tlsproxy"),
        ({"name": "2525", "command": "postscreen"}, "2525 inet n - y - 1 postscreen"),
    ],
)
def test_a_new_entry_is_private_off_the_network_and_chrooted_as_the_smtp_client_is(node, item, entry):
    wanted = {"command": "smtpd", **item}
    name = read_entries([wanted])[0].name
    assert changes(node, wanted) == EntryChanges((f"{name}={entry}",), {}, ())


@pytest.mark.parametrize(
    ("daemon", "limit", "right"), [("tlsproxy", "5", "0"), ("postscreen", "0", "1"), ("scache", "default", "1")]
)
def test_a_daemon_that_would_end_at_once_under_a_process_limit_does_not_get_it(node, daemon, limit, right):
    with pytest.raises(InvalidValue) as refusal:
        changes(node, {"name": f"{daemon}/unix", "command": daemon, "process_limit": limit})
    assert str(refusal.value).endswith(
        f".process_limit: {limit!r} is not what {daemon} runs with; leave it out, or say {right}."
    )


@pytest.mark.parametrize(
    ("services", "chroot"),
    [
        ("smtp unix - - n - - smtp\n", "n"),
        ("smtp unix - - - - - smtp\n", "-"),
        ("smtp inet n - y - - smtpd\nrelay unix - - y - - smtp\n", "-"),
    ],
)
def test_a_new_entry_is_chrooted_where_the_client_is_and_as_postfix_likes_where_there_is_none(node, services, chroot):
    node.services = services
    (made,) = changes(node, {"name": "submission", "command": "smtpd"}).services
    assert made == f"submission/inet=submission inet n - {chroot} - - smtpd"


@pytest.mark.parametrize(
    ("item", "columns"),
    [
        ({}, None),
        ({"command": "smtpd"}, None),
        ({"chroot": True}, None),
        ({"process_limit": "100"}, None),
        ({"chroot": False}, "n - n - 100"),
        ({"process_limit": "default"}, "n - y - -"),
        ({"process_limit": "5", "chroot": False, "command": "smtpd"}, "n - n - 5"),
    ],
)
def test_an_entry_is_replaced_only_where_it_differs_and_keeps_its_overrides(submitting, item, columns):
    found = changes(submitting, {"name": "submission", **item})
    kept = "smtpd -o syslog_name=postfix/submission -o smtpd_sasl_auth_enable=yes"
    assert found == EntryChanges((f"submission/inet=submission inet {columns} {kept}",) if columns else (), {}, ())


def test_overrides_that_the_task_does_not_name_stay_and_the_others_change(submitting):
    item = {"name": "submission", "parameters": {"syslog_name": None, "smtpd_client_restrictions": ["a", "b"]}}
    found = plan(submitting, item)
    assert (found.services, found.gone) == ((), ())
    assert found.overrides == {
        "submission/inet/syslog_name": None,
        "submission/inet/smtpd_client_restrictions": "a,b",
    }
    change(submitting, found)
    assert submitting.state.service("submission", "inet").overrides == {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_client_restrictions": "a,b",
    }
    assert not plan(submitting, item).changed


def test_an_entry_and_its_overrides_change_in_one_go(submitting):
    item = {"name": "submission", "process_limit": "9", "parameters": {"syslog_name": "x"}}
    change(submitting, plan(submitting, item))
    service = submitting.state.service("submission", "inet")
    assert service.entry.startswith("submission inet n - y - 9 smtpd -o ")
    assert service.overrides == {"syslog_name": "x", "smtpd_sasl_auth_enable": "yes"}
    assert not plan(submitting, item).changed


def test_an_override_that_a_new_entry_never_had_need_not_be_taken_out(node):
    item = {"name": "submission", "command": "smtpd", "parameters": {"syslog_name": None}}
    assert plan(node, item).overrides == {}
    change(node, plan(node, item))
    assert node.state.service("submission", "inet").overrides == {}


@pytest.mark.parametrize(
    ("named", "left"),
    [
        ({}, "syslog_name, smtpd_sasl_auth_enable"),
        ({"syslog_name": None}, "smtpd_sasl_auth_enable"),
        ({"smtpd_sasl_auth_enable": "yes"}, "syslog_name"),
        ({"other": "x"}, "syslog_name, smtpd_sasl_auth_enable"),
    ],
)
def test_another_program_does_not_silently_lose_what_the_present_one_is_told(submitting, named, left):
    with pytest.raises(InvalidValue) as refusal:
        changes(submitting, {"name": "smtp"}, {"name": "submission", "command": "postscreen", "parameters": named})
    assert str(refusal.value) == (
        f"services[submission/inet].command: 'postscreen' would lose what master.cf overrides for smtpd: {left}; "
        "name these parameters in the task (none takes one out), or take them out of master.cf."
    )


def test_another_program_starts_with_what_the_task_says_alone(submitting):
    item = {
        "name": "submission",
        "command": "postscreen",
        "process_limit": "1",
        "parameters": {"smtpd_sasl_auth_enable": None, "syslog_name": "screen"},
    }
    change(submitting, plan(submitting, item))
    service = submitting.state.service("submission", "inet")
    assert service.entry == "submission inet n - y - 1 postscreen -o syslog_name=screen"
    assert not plan(submitting, item).changed


def test_an_entry_that_is_not_there_needs_a_command_or_its_right_name(node):
    with pytest.raises(InvalidValue) as refusal:
        changes(node, {"name": "smtp"}, {"name": "submision", "parameters": {"syslog_name": "x"}})
    assert str(refusal.value) == (
        "services: 'submision/inet' is not in master.cf; give its command, or its right name."
    )


@pytest.mark.parametrize(
    ("name", "gone"),
    [("submission", ("submission/inet",)), ("submission/unix", ()), ("465", ()), ("smtp/unix", ("smtp/unix",))],
)
def test_an_entry_that_is_to_be_absent_goes_by_name_and_type(submitting, name, gone):
    assert changes(submitting, {"name": name, "state": "absent"}) == EntryChanges((), {}, gone)


def test_what_is_said_of_an_entry_that_goes_is_not_looked_at(submitting):
    item = {"name": "submission", "state": "absent", "command": "postscreen", "parameters": {"syslog_name": "x"}}
    found = plan(submitting, item)
    assert (found.services, found.overrides, found.gone) == ((), {}, ("submission/inet",))
    change(submitting, found)
    assert submitting.services == SERVICES
    assert not plan(submitting, item).changed


def test_an_entry_that_goes_is_shown_and_told_of(submitting):
    found = plan(submitting, {"name": "submission", "state": "absent"})
    (shown,) = found.diff()
    assert (shown["before_header"], shown["before"], shown["after"]) == (submitting.path("master.cf"), LISTENERS, "")
    assert found.summary()["services_gone"] == ["submission/inet"]
    assert found.summary_line() == "taken out: submission/inet"


def test_several_entries_change_in_one_call(submitting):
    items = [
        {"name": "submission", "state": "absent"},
        {"name": "465", "command": "smtpd", "parameters": {"smtpd_tls_wrappermode": True}},
        {"name": "smtp", "process_limit": "50"},
        {"name": "smtp/unix"},
    ]
    change(submitting, plan(submitting, *items))
    assert submitting.services == (
        "smtp inet n - y - 50 smtpd\nsmtp unix - - y - - smtp\nrelay unix - - y - - smtp\n"
        "lmtp unix - - y - - lmtp\ntlsmgr unix - - y 1000? 1 tlsmgr\n"
        "465 inet n - y - - smtpd -o smtpd_tls_wrappermode=yes\n"
    )
    assert not plan(submitting, *items).changed


def test_nothing_is_asked_of_no_entry(node):
    assert changes(node) == NOTHING


def test_several_entries_go_at_once(submitting):
    items = [{"name": name, "state": "absent"} for name in ("smtp", "465", "submission")]
    found = plan(submitting, *items)
    assert found.gone == ("smtp/inet", "submission/inet")
    change(submitting, found)
    assert [service.key for service in submitting.state.services] == [
        "smtp/unix",
        "relay/unix",
        "lmtp/unix",
        "tlsmgr/unix",
    ]
    assert not plan(submitting, *items).changed


@pytest.mark.parametrize(
    ("daemon", "limit"),
    [
        *((name, "1") for name in "anvil pickup postlogd postscreen qmgr scache tlsmgr verify".split()),
        *((name, "0") for name in "bounce cleanup dnsblog flush tlsproxy".split()),
        *((name, "-") for name in "smtp smtpd local lmtp proxymap trivial-rewrite".split()),
    ],
)
def test_a_daemon_gets_the_process_limit_without_which_it_ends_at_once(node, daemon, limit):
    (entry,) = changes(node, {"name": f"new-{daemon}/unix", "command": daemon}).services
    assert entry.split()[6:] == [limit, daemon]
