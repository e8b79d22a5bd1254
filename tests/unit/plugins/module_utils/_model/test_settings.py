# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import (
    read_parameters,
    read_settings,
)


def test_values_are_spelt_as_main_cf_does():
    given = {"biff": False, "disable_vrfy_command": True, "mynetworks": ["127.0.0.0/8", "[::1]/128"], "relayhost": None}
    assert read_parameters(given) == {
        "biff": "no",
        "disable_vrfy_command": "yes",
        "mynetworks": "127.0.0.0/8, [::1]/128",
        "relayhost": None,
    }


@pytest.mark.parametrize("name", ["alias_database", "queue_directory_note", "mail_spool_directory", "mailbox_command"])
def test_a_parameter_that_only_looks_like_the_installations_is_taken(name):
    assert read_parameters({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"smtpd_tls_security_level": "may"}, "use smtp_tls_mode"),
        ({"smtp_tls_policy_maps": "hash:/x"}, "use smtp_domain_policy"),
        ({"queue_directory": "/var/spool/other"}, "belongs to the installation; change it while Postfix is stopped"),
        ({"config_directory": "/etc/other"}, "belongs to the installation"),
        ({"mail_owner": "root"}, "belongs to the installation"),
        ({"sendmail_path": "/bin/true"}, "belongs to the installation"),
        ({"my hostname": "x"}, "no name of a parameter"),
        ({"myhostname": "a\nrelayhost = evil"}, "line break"),
    ],
)
def test_a_parameter_that_belongs_elsewhere_or_breaks_main_cf_is_refused(given, problem):
    with pytest.raises(InvalidValue, match=problem):
        read_parameters(given)


def test_parameters_of_some_versions_are_spelt_alike_and_kept_apart():
    assert read_settings({"biff": False}, {"smtpd_forbid_bare_newline": True, "x": None}, []) == (
        {"biff": "no"},
        {"smtpd_forbid_bare_newline": "yes", "x": None},
    )
    assert read_settings({}, {}, []) == ({}, {})


@pytest.mark.parametrize("where", ["parameters", "where_known"])
@pytest.mark.parametrize("networks", ["127.0.0.0/8, 0.0.0.0/0", ["127.0.0.0/8", "[::]/0"], "198.51.100.0/24"])
def test_networks_that_may_relay_are_looked_at_wherever_they_are_set(where, networks):
    given = {"parameters": {}, "where_known": {}, where: {"mynetworks": networks}}
    with pytest.raises(InvalidValue, match="lets everybody relay|is a public range"):
        read_settings(given["parameters"], given["where_known"], [])


def test_a_public_range_that_is_meant_is_set():
    found = read_settings({"mynetworks": ["[::1]/128", "198.51.100.0/24"]}, {}, ["198.51.100.0/24"])
    assert found.parameters == {"mynetworks": "[::1]/128, 198.51.100.0/24"}


@pytest.mark.parametrize(
    "given", [{"mynetworks": None}, {"mynetworks": ""}, {"mynetworks": []}, {"relayhost": "0.0.0.0/0"}]
)
def test_no_networks_and_other_parameters_are_not_looked_at(given):
    assert list(read_settings(given, {}, []).parameters) == list(given)


@pytest.mark.parametrize("name", ["smtpd_tls_security_level", "transport_maps", "queue_directory", "my hostname"])
def test_a_parameter_that_belongs_elsewhere_is_refused_where_it_is_known_too(name):
    with pytest.raises(InvalidValue, match="belongs to|is no name of a parameter"):
        read_settings({}, {name: "x"}, [])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        *(
            (name, "belongs to another module; use smtp_domain_policy, which keeps it consistent.")
            for name in ("smtp_tls_policy_maps", "transport_maps", "relay_domains", "smtp_hardening_unlisted")
        ),
        *(
            (name, "belongs to another module; use smtp_tls_mode or smtp_tls_cert, which keeps it consistent.")
            for name in ("smtp_tls_CAfile", "smtpd_tls_CAfile", "smtp_use_tls", "smtpd_use_tls", "smtpd_enforce_tls")
        ),
        *(
            (name, "belongs to the installation; change it while Postfix is stopped, with the package's tools.")
            for name in (
                *(f"{what}_directory" for what in "config queue data daemon command meta shlib".split()),
                *("mail_owner", "setgid_group", "mailq_path", "newaliases_path", "sendmail_path"),
            )
        ),
        *(
            (name, "is no name of a parameter; use letters, digits and underscores, as in postconf(5).")
            for name in ("", "my-hostname", "myhostname ", "myhostname\n", "a=b")
        ),
    ],
)
def test_a_parameter_that_is_not_set_here_is_refused_with_where_it_is(name, sentence):
    with pytest.raises(InvalidValue) as refusal:
        read_parameters({name: "x"})
    assert str(refusal.value) == f"parameters: {name!r} {sentence}"


@pytest.mark.parametrize("code", [*range(0x20), 0x7F])
def test_no_control_character_gets_into_main_cf(code):
    value = f"a{chr(code)}relayhost = evil"
    with pytest.raises(InvalidValue) as refusal:
        read_parameters({"myhostname": value})
    assert str(refusal.value) == (
        f"parameters.myhostname: {value!r} holds a line break or another control character; write it on one line."
    )


@pytest.mark.parametrize("name", ["lmtp_tls_note", "transport_maps_note", "my_relay_domains", "smtpd_enforce_tlsx"])
def test_a_parameter_that_only_looks_like_another_modules_is_taken(name):
    assert read_parameters({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("value", ["static:ann:hunter2", "inline:{x=ann:hunter2}"])
def test_a_password_does_not_go_where_everybody_on_the_node_reads_it(value):
    with pytest.raises(InvalidValue) as refusal:
        read_settings({"smtp_sasl_password_maps": value}, {}, [])
    assert str(refusal.value) == (
        "parameters.smtp_sasl_password_maps: '(not shown)' is a password that everybody on the node could read; "
        "put it into secrets, or a file."
    )
    assert read_settings({"smtp_sasl_password_maps": "hash:/etc/postfix/sasl"}, {}, []).parameters
