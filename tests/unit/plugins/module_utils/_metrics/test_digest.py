# SPDX-License-Identifier: GPL-3.0-or-later
"""What equal policies have in common."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.digest import policy_digest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import MASTER


@pytest.fixture
def node(instance, tmp_path):
    """Make a node with a policy of its own, and tell its digest."""

    def make(name, *, host="mx1.example.com", number=1, files=(), explicit=(), master=MASTER):
        folder = tmp_path / name
        content = {
            f"domains/{number}/transport": f"bank.example smtp:[mx.bank.example]:25\n{host} local:\n",
            f"domains/{number}/transport.db": name,
            f"trust/{number}.pem": "the fleet's CA",
            f"certificates/fleet/{number}.pem": f"key of {host}",
            **dict(files),
        }
        for path, text in content.items():
            (folder / "smtp_hardening" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "smtp_hardening" / path).write_text(text)
        store = f"{folder}/smtp_hardening"
        told = [
            f"myhostname = {host}",
            f"mydestination = {host}, localhost",
            f"smtpd_tls_chain_files = {store}/certificates/fleet/{number}.pem",
            f"smtpd_tls_CAfile = {store}/trust/{number}.pem",
            f"transport_maps = hash:{store}/domains/{number}/transport",
            "smtp_tls_security_level = secure",
            f"smtp_bind_address = 192.0.2.{number}",
            *(line.format(store=store) for line in explicit),
        ]
        return instance({"myhostname": host}, told, config_dir=str(folder), entries=master)

    return make


def test_equal_policies_have_equal_digests_whatever_host_certificate_and_number(node):
    one, other = node("a"), node("b", host="mx2.example.com", number=7)
    assert policy_digest(one) == policy_digest(other)
    assert re.fullmatch("[0-9a-f]{64}", policy_digest(one))


def test_the_order_and_blanks_of_entries_do_not_count(node):
    master = "\n".join(reversed(MASTER.replace(" ", "   ").splitlines()))
    assert policy_digest(node("a")) == policy_digest(node("b", master=master))


@pytest.mark.parametrize(
    "change",
    [
        {"explicit": ["smtp_tls_loglevel = 1"]},
        {"master": MASTER.replace("smtpd\n", "smtpd -o smtpd_tls_security_level=none\n")},
        {"files": {"domains/1/transport": "bank.example smtp:[mx.evil.example]:25\n"}},
        {"files": {"domains/1/transport": "bank.example smtp:[amx1.example.com]:25\n"}},
        {"files": {"domains/1/senders": "bank.example reject\n"}},
        {"files": {"trust/1.pem": "another CA"}},
    ],
    ids=["main.cf", "master.cf", "table", "table with a name like ours", "new table", "trust"],
)
def test_another_policy_has_another_digest(node, change):
    assert policy_digest(node("a")) != policy_digest(node("b", **change))


def test_files_that_nothing_names_do_not_count(node):
    other = node("b", files={"domains/2/transport": "old", "trust/3.pem": "old", "history/1/main.cf": "old"})
    assert policy_digest(node("a")) == policy_digest(other)


def test_a_password_is_not_in_the_digest(node):
    """Whoever sees a digest could try passwords until one fits."""
    nodes = [
        node(
            name,
            files={"secrets/1/smtp_sasl_password_maps": password},
            explicit=["smtp_sasl_password_maps = hash:{store}/secrets/1/smtp_sasl_password_maps"],
        )
        for name, password in (("a", "relay.example user:one\n"), ("b", "relay.example user:two\n"))
    ]
    assert policy_digest(nodes[0]) == policy_digest(nodes[1])


def test_what_is_no_plain_file_in_the_store_does_not_count(node, tmp_path):
    one, other = node("a"), node("b")
    (tmp_path / "b/smtp_hardening/domains/1/link").symlink_to("/etc/shadow")
    (tmp_path / "b/smtp_hardening/domains/1/folder").mkdir()
    assert policy_digest(one) == policy_digest(other)


def test_a_trust_file_that_is_gone_does_not_count_and_is_no_failure(node, tmp_path):
    one = node("a")
    before = policy_digest(one)
    (tmp_path / "a/smtp_hardening/trust/1.pem").unlink()
    assert policy_digest(one) != before
