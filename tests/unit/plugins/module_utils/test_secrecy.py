# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._secrecy import (
    NOT_SHOWN,
    hiding,
    holds_password,
    invocation,
    is_place,
    noted,
    secrets_in,
    strayed_key,
    tellable,
    without_keys,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.key_spellings import AWKWARD, KEYS, traces

SPEC = {
    "name": {"type": "str"},
    "level": {"type": "str", "choices": ["may", "encrypt"]},
    "days": {"type": "int"},
    "now": {"type": "bool"},
    "code": {"type": "str", "no_log": True},
    "pem": {
        "type": "dict",
        "options": {
            "private_key": {"type": "str", "no_log": True},
            "certificate": {"type": "str"},
            "passphrase": {"type": "str", "no_log": True},
        },
    },
    "trust": {"type": "dict", "options": {"authorities": {"type": "list"}, "pins": {"type": "list"}}},
    "domains": {"type": "list", "options": {"name": {"type": "str"}, "level": {"type": "str", "choices": ["may"]}}},
    "parameters": {"type": "dict"},
    "secrets": {"type": "dict", "no_log": True},
}


def hidden(given, said):
    return hiding(secrets_in(given, SPEC))(said)


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("around", ["{}", "no such file: {}; give one", "{!r}", "['{}']", "\n{}\n"])
def test_a_key_is_known_by_its_looks_wherever_it_stands(name, around):
    said = around.format(KEYS[name])
    for text in (said, repr(said), json.dumps(said), said.replace("\n", " "), said.replace("\n", "\r\n")):
        assert traces(KEYS[name], without_keys(text)) == []
        assert NOT_SHOWN in without_keys(text)


def test_half_a_key_is_one_too():
    pem = KEYS["rsa-pkcs8-open"]
    assert without_keys(f"it says: {pem[:200]}") == f"it says: {NOT_SHOWN}"
    assert without_keys(f"it says: {pem.splitlines()[1]}") == f"it says: {NOT_SHOWN}"


def test_what_everybody_may_see_is_left_alone(issue):
    chain = issue()
    for text in (
        certificates_pem(chain.certificates).decode(),
        "3 1 1 " + "9C41" * 16,
        "a" * 5000,
        ":".join(["5A"] * 32),
    ):
        assert without_keys(text) == text
        assert hidden({"pem": {"private_key": chain.to_pem().decode()}}, text) == text


@pytest.mark.parametrize("name", KEYS)
def test_no_line_of_a_key_is_said_whatever_option_it_was_put_into(name):
    key = KEYS[name]
    lines = key.splitlines()
    for given in ({"name": key}, {"pem": {"certificate": key}}, {"parameters": {key: "x"}}, {"trust": {"pins": [key]}}):
        for line in (line for line in lines if len(line) > 15 and "-----" not in line and ": " not in line):
            assert line not in hidden(given, f"line 3 is bad: {line}; mend it")


@pytest.mark.parametrize(
    "given",
    [
        {"code": AWKWARD},
        {"pem": {"passphrase": AWKWARD}},
        {"pem": {"private_key": AWKWARD}},
        {"pem": {"certificate": AWKWARD}},
        {"pem": AWKWARD},
        {"trust": {"authorities": ["/etc/ca.pem", AWKWARD]}},
        {"secrets": {"smtp_sasl_password_maps": {"mx.example": AWKWARD}}},
        {"secrets": AWKWARD},
        {"parameters": {"smtp_sasl_password_maps": f"inline:{{mx={AWKWARD}}}", "db_password": AWKWARD}},
    ],
)
def test_a_secret_is_hidden_in_each_of_its_spellings(given):
    said = [AWKWARD, repr(AWKWARD), repr([AWKWARD, "'"]), json.dumps({"a": AWKWARD}), ascii(given), repr(repr(AWKWARD))]
    said += [*AWKWARD.splitlines(), AWKWARD + "\n", json.dumps(repr(given))]
    assert traces(AWKWARD, repr(hidden(given, said))) == []
    assert traces(AWKWARD, repr(hidden(given, invocation(given, SPEC)))) == []


def test_numbers_are_secrets_too_and_words_of_our_own_stay():
    given = {"pem": {"passphrase": 80041}, "code": None, "secrets": {"a": {"b": 70023, "c": True}}}
    assert secrets_in(given, SPEC) >= {"80041", "70023"}
    assert hidden(given, {"msg": "80041", "n80041": 25}) == {"msg": NOT_SHOWN, "n80041": 25}


@pytest.mark.parametrize("name", ["private_key", "certificate"])
@pytest.mark.parametrize(
    "path",
    ["/etc/ssl/x.key", "/etc/my keys/x", "~/ca.pem", "./ca", "../a/b", "files/fleet-ca", "mx.key", "/root/é.p12"],
)
def test_where_a_key_lies_is_no_secret(name, path):
    assert is_place(path)
    assert secrets_in({"pem": {name: path}}, SPEC) == frozenset()
    assert tellable(f"pem.{name}", path) == path
    assert invocation({"pem": {name: path}}, SPEC) == {"pem": {name: path}}


@pytest.mark.parametrize("text", ["hunter2", "two words", 'a"/b', "/etc/x\n", "/a{b}", "x" * 300, "/" + "a" * 300])
def test_what_is_no_path_may_be_a_secret(text):
    assert not is_place(text)
    assert tellable("pem.private_key", text) == tellable("trust.authorities[3]", text) == NOT_SHOWN


@pytest.mark.parametrize("name", [name for name in KEYS if "base64" in name or "pkcs12" in name])
def test_a_key_does_not_pass_for_a_path(name):
    assert not is_place("/etc/" + KEYS[name][:200])


@pytest.mark.parametrize("option", ["name", "trust.pins", "secrets", "server.level"])
def test_other_values_are_repeated_for_the_one_who_wrote_them(option):
    assert tellable(option, "hunter2") == "hunter2"
    assert tellable("pem.private_key", "") == ""


@pytest.mark.parametrize(
    ("parameter", "value", "holds"),
    [
        ("smtp_sasl_password_maps", "static:ann:secret", True),
        ("smtp_sasl_password_maps", "inline:{ {mx.example = ann:secret} }", True),
        ("lmtp_sasl_password_maps", "hash:/etc/postfix/sasl, static:ann:secret", True),
        ("smtp_sasl_password_maps", "ann:secret two", True),
        ("smtp_sasl_password_maps", "hash:/etc/postfix/sasl", False),
        ("smtp_sasl_password_maps", "proxy:lmdb:$config_directory/sasl ldap:directory", False),
        ("smtp_sasl_password_maps", "", False),
        ("directory_bind_pw", "secret", True),
        ("users_password", "secret", True),
        ("users_password", "$of_another", False),
        ("users_password", "", False),
        ("smtp_sasl_password_result_delimiter", ":", False),
        ("myhostname", "static:ann:secret", False),
    ],
)
def test_a_parameter_of_postfix_may_hold_a_password(parameter, value, holds):
    assert holds_password(parameter, value) is holds
    assert bool(secrets_in({"parameters": {parameter: value}}, SPEC)) is holds


def test_the_log_has_names_and_of_values_those_that_can_only_be_a_few_words():
    given = {
        "name": "x",
        "level": "may",
        "days": 3,
        "now": False,
        "code": "c",
        "pem": {"private_key": "k", "passphrase": None},
        "domains": [{"name": "a", "level": "may"}, {"name": "b", "level": "may"}],
        "parameters": {"myhostname": "mx"},
        "secrets": {},
        "unknown": "u",
    }
    said = "name level=may days now=False code pem.private_key domains.name domains.level=may parameters secrets"
    assert list(noted(given, SPEC)) == said.split()


def test_results_show_options_as_they_were_given_but_for_secrets():
    given = {
        "name": "default",
        "pem": {"private_key": "/etc/x.key", "certificate": "/etc/x.pem", "typo": "hunter2"},
        "domains": [{"name": "a.example", "level": "may"}],
        "secrets": {"smtp_sasl_password_maps": {"ann:secret": "[mx.example]:587"}},
        "typo": "hunter2",
    }
    assert invocation(given, SPEC) == {
        **given,
        "pem": {**given["pem"], "typo": NOT_SHOWN},
        "secrets": NOT_SHOWN,
        "typo": NOT_SHOWN,
    }
    assert invocation({"secrets": {}, "pem": None}, SPEC) == {"secrets": {}, "pem": None}


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"name": KEYS["p256-pkcs8-open"]}, "name"),
        ({"domains": [{"name": "a"}, {"name": "b", "owner": KEYS["rsa-pkcs12"]}]}, "domains.owner"),
        ({"parameters": {"myhostname": ["a", KEYS["rsa-old-open-base64"]]}}, "parameters.myhostname"),
        ({"parameters": {KEYS["ed25519-pkcs8-open-base64"]: "a"}}, "parameters"),
        ({"pem": {"private_key": KEYS["rsa-pkcs8-open"], "certificate": KEYS["rsa-pkcs8-open"]}}, None),
        ({"pkcs12": {"archive": KEYS["rsa-pkcs12"]}, "name": "a", "days": 3, "use": None}, None),
        ({"task": KEYS["rsa-pkcs8-open"], "trust": {"authorities": [KEYS["rsa-pkcs8-open"]]}}, None),
    ],
)
def test_a_key_that_has_lost_its_way_is_found(given, option):
    assert strayed_key(given) == option
