# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates are shown, and how long they last."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.certificates import (
    InUse,
    certificates,
    tell_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import parse
from cryptography.hazmat.primitives.serialization import Encoding


def test_what_is_shown_is_told_and_keys_are_not(instance, issue, fleet_ca, tmp_path):
    store = tmp_path / "postfix" / "smtp_hardening"
    chain = issue()
    pem = chain.to_pem()
    for path, content in {
        "certificates/fleet/3.pem": pem,
        "certificates/both/1.pem": pem + issue(kind=("rsa", 2048), days=30).to_pem(),
        "trust/2.pem": fleet_ca[0].public_bytes(Encoding.PEM),
    }.items():
        (store / path).parent.mkdir(parents=True)
        (store / path).write_bytes(content)
    (store / "sni/1").mkdir(parents=True)
    (store / "sni/1/table").write_text(f"# made\nmx9.example.com\t{store}/certificates/both/1.pem\n")
    made = instance(
        {
            "smtpd_tls_chain_files": f"{store}/certificates/both/1.pem",
            "smtp_tls_chain_files": f"{store}/certificates/fleet/3.pem",
            "smtpd_tls_CAfile": f"{store}/trust/2.pem",
            "tls_server_sni_maps": f"hash:{store}/sni/1/table",
        },
        [f"tls_server_sni_maps = hash:{store}/sni/1/table"],
    )
    found = certificates(made)
    assert [(c.use, c.name, c.key_type) for c in found] == [
        ("client", "fleet", "ecdsa"),
        ("server", "both", "ecdsa"),
        ("server", "both", "rsa"),
        ("trust", "trust", "ecdsa"),
    ]
    expires = chain.certificates[0].not_valid_after_utc
    assert found[0].not_after == expires.timestamp()
    metrics = Metrics()
    tell_certificates(found, time.time(), metrics)
    told = metrics.render()
    parsed = parse(told)
    days = {
        dict(labels)["key_type"]: value
        for (_name, labels), value in parsed["smtp_hardening_certificate_days_left"].items()
    }
    assert 29 <= days["rsa"] <= 30
    secret = re.findall(rb"^[A-Za-z0-9+/=]{20,}$", pem.split(b"PRIVATE KEY-----")[1], re.MULTILINE)
    assert secret and not [line for line in secret if line.decode() in told]


def test_a_certificate_that_is_not_shown_does_not_count(instance):
    made = instance({"smtpd_tls_security_level": "none", "smtpd_tls_chain_files": "/nowhere.pem"})
    assert certificates(made) == []


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_chain_file_that_holds_no_certificate_is_a_complaint(instance, tmp_path, content):
    path = tmp_path / "chain.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((OSError, HardeningError)):
        certificates(instance({"smtpd_tls_chain_files": str(path)}))


def test_a_chain_ends_with_the_first_of_its_certificates(instance, issue, tmp_path):
    leaf, shorter = issue(), issue(days=10)
    (tmp_path / "chain.pem").write_bytes(leaf.to_pem() + certificates_pem(shorter.certificates))
    found = certificates(instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"}))
    assert [c.not_after for c in found] == [shorter.certificates[0].not_valid_after_utc.timestamp()]


def test_of_two_chains_that_look_alike_the_one_that_expires_first_is_told():
    chains = [InUse("server", "both", "ecdsa", "mx1", moment) for moment in (1000, 2000)]
    metrics = Metrics()
    tell_certificates(chains, 0, metrics)
    assert list(metrics.samples["certificate_not_after_timestamp_seconds"].values()) == [1000]
