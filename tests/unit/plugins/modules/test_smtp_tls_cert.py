# SPDX-License-Identifier: GPL-3.0-or-later
"""The module itself: its options as Ansible hands them over, and its answer."""

from __future__ import annotations

import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import certificate, renewal, work
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_tls_cert
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import DEFAULTS, SMALL, pem, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import run


@pytest.fixture
def answer(monkeypatch, capsys, node):
    """Run the whole module for an instance: what it tells Ansible."""

    monkeypatch.setattr(work.command, "run", node.run)

    def start(**options):
        with patch_module_args({"config_dir": node.config_dir, **options}), pytest.raises(SystemExit):
            smtp_tls_cert.main()
        return json.loads(capsys.readouterr().out)

    return start


@pytest.fixture
def handed_over(monkeypatch, answer):
    """The options that the work gets."""

    def start(**options):
        seen = []
        monkeypatch.setattr(
            smtp_tls_cert, "work", lambda postfix, given, check_mode: seen.append(given) or {"changed": False}
        )
        assert answer(**options)["changed"] is False
        return seen[0]

    return start


def test_a_certificate_of_the_ca_is_asked_for_in_a_first_call(node, fleet_ca):
    options = task("own_ca", {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}, use=["server"])
    foreseen = run("smtp_tls_cert", node, options, check_mode=True)
    assert (foreseen["changed"], "signing_request" in foreseen) == (True, False)
    assert not os.path.exists(node.store())
    result = run("smtp_tls_cert", node, options)
    assert result["changed"] is True
    assert sorted(result["signing_request"]) == ["csr", "names"]
    assert "smtpd_tls_chain_files" not in read_state(node.postfix).explicit


def test_what_a_task_leaves_out_is_as_documented(handed_over, node):
    assert handed_over() == {**DEFAULTS, "provider": "self_signed", "config_dir": node.config_dir}


@pytest.mark.parametrize(
    ("provider", "given", "completed"),
    [
        ("self_signed", {}, {"key_type": "rsa", "key_size": None, "names": None, "days": None}),
        ("csr", {}, {"key_type": "ecdsa", "key_size": None, "names": None, "certificate": None}),
        ("pem", {"private_key": "a", "certificate": "b"}, {"private_key": "a", "certificate": "b", "passphrase": None}),
        ("pkcs12", {"archive": "a"}, {"archive": "a", "passphrase": None}),
        (
            "external",
            {"tool": "certbot", "private_key": "a", "certificate": "b"},
            {"tool": "certbot", "private_key": "a", "certificate": "b", "hook": True},
        ),
    ],
)
def test_what_a_provider_is_not_told_is_as_documented(handed_over, provider, given, completed):
    assert handed_over(provider=provider, **{provider: given})[provider] == completed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"provider": "letsencrypt"}, "value of provider must be one of"),
        ({"provider": "own_ca"}, "provider is own_ca but all of the following are missing: own_ca"),
        ({"provider": "pem", "pem": {"certificate": "x"}}, "missing required arguments: private_key found in pem"),
        ({"use": ["both"]}, "value of use must be one or more of"),
        ({"accept": ["everything"]}, "value of accept must be one or more of"),
        ({"self_signed": {"key_type": "dsa"}}, "value of key_type must be one of"),
        ({"renew_before": "a month"}, "renew_before"),
        ({"state": "absent", "name": "../etc"}, "name: '../etc'"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(answer, node, options, sentence):
    before = picture(node.config_dir)
    told = answer(**options)
    assert told["failed"] is True and sentence in told["msg"]
    assert picture(node.config_dir) == before


@pytest.mark.usefixtures("trusting_node")
@pytest.mark.parametrize("passphrase", [None, "correct-horse-battery"])
def test_no_key_and_no_passphrase_comes_back_in_the_answer(answer, issue, passphrase):
    chain = issue()
    given = pem(chain, private_key=write_key(chain.key, passphrase).decode(), passphrase=passphrase)
    told = answer(provider="pem", pem=given, use=["server"])
    assert (told["changed"], told["active"]) == (True, {"server": True, "client": False})
    secrets = [*given["private_key"].splitlines()[1:-1], *filter(None, [passphrase])]
    assert secrets and not [secret for secret in secrets if secret in json.dumps(told)]


def test_a_renewal_on_the_node_does_what_the_module_does():
    assert smtp_tls_cert.work is renewal.work is certificate.work
