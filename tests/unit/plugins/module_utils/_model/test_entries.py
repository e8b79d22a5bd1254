# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.entries import EntryWish, read_entries


def test_an_entry_is_of_the_network_unless_its_type_is_named():
    item = {"name": "submission", "command": "smtpd", "process_limit": "default", "chroot": False}
    item["parameters"] = {
        "smtpd_sasl_auth_enable": True,
        "smtpd_relay_restrictions": ["permit_sasl_authenticated", "reject"],
    }
    overrides = {"smtpd_sasl_auth_enable": "yes", "smtpd_relay_restrictions": "permit_sasl_authenticated,reject"}
    assert read_entries([item]) == (EntryWish("submission/inet", True, "smtpd", False, "-", overrides),)
    assert read_entries([{"name": "smtpd/pass", "state": "absent"}])[0] == EntryWish("smtpd/pass", False)
    assert read_entries(None) == ()


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ({"name": "smtp inet"}, "is no service"),
        ({"name": "smtp", "command": "smtpd -v"}, "is no daemon of Postfix"),
        ({"name": "smtp", "command": "../smtpd"}, "is no daemon of Postfix"),
        ({"name": "smtp", "process_limit": "-1"}, "is no number"),
        ({"name": "smtp", "process_limit": "many"}, "is no number"),
        ({"name": "smtp", "parameters": {"a b": "c"}}, "is no name of a parameter"),
        ({"name": "smtp", "parameters": {"a": "b c"}}, "holds a blank"),
        ({"name": "smtp", "parameters": {"a": ["b c"]}}, "holds a blank"),
        ({"name": "smtp", "parameters": {"a": "b\nc"}}, "control character"),
    ],
)
def test_what_master_cf_cannot_hold_is_refused(item, sentence):
    with pytest.raises(InvalidValue, match=sentence):
        read_entries([item])


def test_a_service_is_listed_once():
    with pytest.raises(InvalidValue, match="is listed twice"):
        read_entries([{"name": "smtp"}, {"name": "smtp/inet"}])


@pytest.mark.parametrize(
    ("given", "wish"),
    [
        ({}, EntryWish("smtp/inet")),
        ({"state": "present"}, EntryWish("smtp/inet")),
        ({"state": None}, EntryWish("smtp/inet")),
        ({"state": "absent"}, EntryWish("smtp/inet", wanted=False)),
        ({"command": "proxymap"}, EntryWish("smtp/inet", command="proxymap")),
        ({"command": "my-daemon"}, EntryWish("smtp/inet", command="my-daemon")),
        ({"chroot": True}, EntryWish("smtp/inet", chroot=True)),
        ({"chroot": False}, EntryWish("smtp/inet", chroot=False)),
        ({"process_limit": "0"}, EntryWish("smtp/inet", process_limit="0")),
        ({"process_limit": "250"}, EntryWish("smtp/inet", process_limit="250")),
        ({"process_limit": "default"}, EntryWish("smtp/inet", process_limit="-")),
        ({"parameters": None}, EntryWish("smtp/inet")),
    ],
)
def test_what_a_task_does_not_say_of_an_entry_is_not_asked_for(given, wish):
    assert read_entries([{"name": "smtp", "command": None, "chroot": None, "process_limit": None, **given}]) == (wish,)


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        (True, "yes"),
        (False, "no"),
        (None, None),
        ("", ""),
        (5, "5"),
        ([], ""),
        (["permit_mynetworks", "reject"], "permit_mynetworks,reject"),
        (("a", 1), "a,1"),
        ("$submission_restrictions", "$submission_restrictions"),
        ("inet:127.0.0.1:8891", "inet:127.0.0.1:8891"),
        ("a=b", "a=b"),
    ],
)
def test_an_override_is_one_word_or_takes_the_parameter_out(value, spelt):
    assert read_entries([{"name": "smtp", "parameters": {"x": value}}])[0].overrides == {"x": spelt}


@pytest.mark.parametrize(("name", "kind"), [("smtp", "inet"), ("smtp/unix", "unix"), ("[::1]:25/inet", "inet")])
def test_an_entry_knows_its_type(name, kind):
    assert read_entries([{"name": name}])[0].kind == kind


DAEMON = "is no daemon of Postfix; name a program, such as smtpd, without arguments."
LIMIT = "is no number; give one, 0 for no limit, or default."
PARAMETER = "is no name of a parameter; write it as in postconf(5)."
BLANK = (
    "holds a blank, which an override in master.cf cannot; separate by commas, or set a parameter of your own in main.cf "
    "and name it here as $name."
)


@pytest.mark.parametrize(
    ("given", "option", "value", "problem"),
    [
        ({"command": ""}, "command", "", DAEMON),
        ({"command": "smtpd -o a=b"}, "command", "smtpd -o a=b", DAEMON),
        ({"command": "smtpd\n"}, "command", "smtpd\n", DAEMON),
        ({"command": "/usr/lib/postfix/sbin/smtpd"}, "command", "/usr/lib/postfix/sbin/smtpd", DAEMON),
        ({"command": "-v"}, "command", "-v", DAEMON),
        ({"process_limit": ""}, "process_limit", "", LIMIT),
        ({"process_limit": "-"}, "process_limit", "-", LIMIT),
        ({"process_limit": "10 smtpd"}, "process_limit", "10 smtpd", LIMIT),
        ({"process_limit": "5\n"}, "process_limit", "5\n", LIMIT),
        ({"process_limit": "defaults"}, "process_limit", "defaults", LIMIT),
        ({"parameters": {"": "x"}}, "parameters", "", PARAMETER),
        ({"parameters": {"a=b": "x"}}, "parameters", "a=b", PARAMETER),
        ({"parameters": {"a\n": "x"}}, "parameters", "a\n", PARAMETER),
        ({"parameters": {"smtp/inet/a": "x"}}, "parameters", "smtp/inet/a", PARAMETER),
        ({"parameters": {"a": " "}}, "parameters.a", " ", BLANK),
        ({"parameters": {"a": "x "}}, "parameters.a", "x ", BLANK),
        ({"parameters": {"a": "permit_mynetworks, reject"}}, "parameters.a", "permit_mynetworks, reject", BLANK),
        ({"parameters": {"a": "x\u00a0y"}}, "parameters.a", "x\u00a0y", BLANK),
        ({"parameters": {"a": ["b", "c d"]}}, "parameters.a", ["b", "c d"], BLANK),
    ],
)
def test_a_refusal_names_the_entry_the_value_and_the_way_out(given, option, value, problem):
    with pytest.raises(InvalidValue) as refusal:
        read_entries([{"name": "smtp"}, {"name": "submission", **given}])
    assert str(refusal.value) == f"services[submission/inet].{option}: {value!r} {problem}"


def test_the_entry_that_is_listed_twice_is_named():
    twice = [{"name": "smtp"}, {"name": "465"}, {"name": "465/inet", "state": "absent"}, {"name": "465/unix"}]
    with pytest.raises(InvalidValue) as refusal:
        read_entries(twice)
    assert str(refusal.value) == "services: '465/inet' is listed twice; keep one entry per service."
    assert len(read_entries([*twice[:2], twice[3]])) == 3
