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
