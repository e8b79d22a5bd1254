# SPDX-License-Identifier: GPL-3.0-or-later
"""What equal policies have in common, and the levels in effect."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import (
    EFFECTIVE,
    MASTER,
    OVERRIDES,
    SERVICES,
)


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
            *explicit,
        ]
        return instance({"myhostname": host}, told, config_dir=str(folder))._replace(entries=master.splitlines())

    return make


def test_equal_policies_have_equal_digests_whatever_host_certificate_and_number(program, node):
    one, other = node("a"), node("b", host="mx2.example.com", number=7)
    assert program.policy_digest(one) == program.policy_digest(other)
    assert re.fullmatch("[0-9a-f]{64}", program.policy_digest(one))


def test_the_order_and_blanks_of_entries_do_not_count(program, node):
    master = "\n".join(reversed(MASTER.replace(" ", "   ").splitlines()))
    assert program.policy_digest(node("a")) == program.policy_digest(node("b", master=master))


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
def test_another_policy_has_another_digest(program, node, change):
    assert program.policy_digest(node("a")) != program.policy_digest(node("b", **change))


def test_files_that_nothing_names_do_not_count(program, node):
    other = node("b", files={"domains/2/transport": "old", "trust/3.pem": "old", "history/1/main.cf": "old"})
    assert program.policy_digest(node("a")) == program.policy_digest(other)


# Levels


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "none"}, ("none", "", "ignore")),
        ({"smtpd_tls_security_level": "", "smtpd_use_tls": "yes"}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "", "smtpd_enforce_tls": "yes"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": ""}, ("none", "", "ignore")),
        ({"smtpd_tls_wrappermode": "yes"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_req_ccert": "yes"}, ("may", "TLSv1.2", "request")),
        ({"smtpd_tls_req_ccert": "yes", "smtpd_tls_security_level": "encrypt"}, ("encrypt", "TLSv1.2", "require")),
        ({"smtpd_tls_ask_ccert": "yes"}, ("may", "TLSv1.2", "request")),
        ({"smtpd_tls_protocols": "!SSLv2, !SSLv3"}, ("may", "TLSv1", "ignore")),
        ({"smtpd_tls_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1,!TLSv1.2"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": ">=TLSv1.3"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": "TLSv1.2"}, ("may", "other", "ignore")),
        ({"smtpd_tls_protocols": ""}, ("may", "TLSv1", "ignore")),
    ],
)
def test_the_level_of_a_server_is_told_as_postfix_takes_it(program, found, expected):
    assert program.server_policy({**EFFECTIVE, **found}) == expected


def test_services_that_differ_are_told_beside_main_cf(program, instance):
    metrics = program.Metrics()
    overrides = [*OVERRIDES, "relay/unix/smtp_tls_security_level = encrypt", "relay/unix/smtp_bind_address = 192.0.2.1"]
    program.tell_policies(instance(master=SERVICES, overrides=overrides), metrics)
    servers = [dict(labels) for labels in metrics.samples["server_policy_info"]]
    assert {row["service"]: row["level"] for row in servers} == {
        "main.cf": "may",
        "smtps/inet": "encrypt",
        "submission/inet": "encrypt",
        "10031/inet": "encrypt",
    }
    clients = [dict(labels) for labels in metrics.samples["client_policy_info"]]
    assert {row["service"]: row["level"] for row in clients} == {"main.cf": "may", "relay/unix": "encrypt"}
