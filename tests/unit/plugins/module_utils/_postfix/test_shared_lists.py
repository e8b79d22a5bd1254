# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.shared_lists import beside_ours

SENDERS = "check_sender_access hash:{store}/domains/3/senders, smtp_hardening_unlisted"
PINS = "check_ccert_access {{ regexp:{store}/pins/2/table, {{ search_order = pubkey_fingerprint }} }}"
OURS = {
    "smtpd_sender_restrictions": SENDERS,
    "smtpd_restriction_classes": "smtp_hardening_encrypt, smtp_hardening_unlisted",
    "smtpd_client_restrictions": PINS,
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("value", ["reject_unknown_sender_domain, permit", "", None])
def test_our_part_stays_first_in_a_list_that_an_operator_sets_or_takes_out(node, name, value):
    ours = OURS[name].format(store=node.store())
    node.append(f"{name} = {ours}, reject_non_fqdn_sender\n")
    assert beside_ours(node.state, {name: value}) == {name: ", ".join(filter(None, [ours, value]))}


@pytest.mark.parametrize("name", [*OURS, "myhostname"])
def test_other_lists_are_set_as_they_are_written(node, name):
    node.append("smtpd_sender_restrictions = reject_non_fqdn_sender\n")
    assert beside_ours(node.state, {name: "x, y"}) == {name: "x, y"}
    assert beside_ours(node.state, {name: None}) == {name: None}
    assert beside_ours(node.state, {name: ""}) == {name: ""}, "empty is not the default"
