# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import read_parameters


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
