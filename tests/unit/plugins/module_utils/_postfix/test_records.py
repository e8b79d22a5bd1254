# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.records import (
    RECORDS,
    current_folder,
    parse_records,
    read_records,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import apply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

BANK = {"name": "bank.example", "level": "encrypt"}


@pytest.mark.parametrize(
    "record",
    [
        BANK,
        {"name": "bank.example", "route": "[mx.bank.example]"},
        {"name": "bank.example", "local": True},
        {"name": "bank.example", "incoming": {}},
    ],
)
def test_the_records_lie_beside_whatever_table_main_cf_names(node, record):
    node.append("smtpd_tls_security_level = may\n")
    apply(node, record)
    assert current_folder(node.state) == node.store("domains/1")
    assert [found.name for found in read_records(current_folder(node.state))] == ["bank.example"]


def test_the_folder_is_that_which_main_cf_names_and_not_the_newest(node):
    apply(node, BANK)
    apply(node, {**BANK, "level": "secure"})
    assert current_folder(node.state) == node.store("domains/2")
    node.postfix.edit({"smtp_tls_policy_maps": f"hash:{node.store('domains/1/tls_policy')}"})
    assert current_folder(node.state) == node.store("domains/1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smtp_tls_policy_maps = hash:/etc/postfix/domains/1/tls_policy\n",
        "mail_name = hash:{store}/domains/1/tls_policy\n",
        "smtp_tls_policy_maps = hash:{store}/domains/one/tls_policy\n",
    ],
)
def test_without_a_table_of_ours_there_are_no_records(node, text):
    node.append(text.replace("{store}", node.store()))
    assert current_folder(node.state) is None
    assert read_records(None) == ()


def test_records_come_back_as_they_were(node):
    planned = apply(node, {**BANK, "subdomains": True, "owner": "mail team"}, unlisted=Unlisted.WARN)
    assert read_records(current_folder(node.state)) == planned.after


@pytest.mark.parametrize(
    "content", [b"{", b"null", b"[{}]", b'[{"name": "no name"}]', b"[1]", b"\xff", b'{"a": 1}', None]
)
def test_a_broken_file_is_a_sentence(node, content):
    with pytest.raises(PostfixError) as problem:
        parse_records("/etc/records.json", content)
    assert str(problem.value).startswith("/etc/records.json cannot be read, so nobody knows any more")


@pytest.mark.parametrize("content", ["{", None])
def test_a_broken_or_lost_file_of_a_node_is_the_same_sentence(node, content):
    apply(node, BANK)
    path = node.store("domains/1", RECORDS)
    os.unlink(path) if content is None else write(path, content)
    with pytest.raises(PostfixError) as problem:
        read_records(node.store("domains/1"))
    assert str(problem.value).startswith(f"{path} cannot be read, so nobody knows any more")
