# SPDX-License-Identifier: GPL-3.0-or-later
"""What a certificate says breaks nothing of what is told."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import (
    certificates as certificates_module,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.certificates import (
    InUse,
    certificates,
    tell_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics, complain
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import parse
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import NameOID


def certificate(names, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text) for text in names])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    built = built.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9))
    signed = built.sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)
    return signed.public_bytes(serialization.Encoding.PEM)


NAMES = ['a"} 1\nsmtp_hardening_healthy 1\n', "a\r\x1b[31m\x00\u202e\u2028", "\\", 'x\\"', "é" * 30]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_certificates_name_is_a_label_and_nothing_else(instance, tmp_path, name, capsys):
    (tmp_path / "chain.pem").write_bytes(certificate([name]))
    found = certificates(instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"}))
    metrics = Metrics()
    tell_certificates(found, 0, metrics)
    told = metrics.render()
    assert set(parse(told)) == {
        "smtp_hardening_certificate_not_after_timestamp_seconds",
        "smtp_hardening_certificate_days_left",
    }
    complain(f"the certificate {name} has expired")
    said = capsys.readouterr().err
    for text in (told.replace("\n", ""), said[:-1]):
        assert all(letter.isprintable() for letter in text)


def test_labels_are_short_and_few(monkeypatch):
    monkeypatch.setattr(certificates_module, "MOST", 3)
    chains = [InUse("server", f"c{day}", "ecdsa", "x" * 9999, day * certificates_module.DAY) for day in range(9, 0, -1)]
    metrics = Metrics()
    tell_certificates(chains, 0, metrics)
    (days, moments) = (metrics.samples[f"certificate_{name}"] for name in ("days_left", "not_after_timestamp_seconds"))
    assert sorted(days.values()) == [1, 2, 3] and len(moments) == 3
    assert max(map(len, metrics.render().splitlines())) < 400


def test_a_key_of_a_kind_that_the_library_does_not_know_is_told_as_another(instance, tmp_path, monkeypatch):
    (tmp_path / "chain.pem").write_bytes(certificate(["mx"], ed448.Ed448PrivateKey.generate()))
    made = instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"})
    assert [found.key_type for found in certificates(made)] == ["other"]

    class Unknown:
        def __init__(self, tbs_certificate_bytes):
            self.tbs_certificate_bytes = tbs_certificate_bytes

        def public_key(self):
            raise UnsupportedAlgorithm("ML-DSA")

    known = x509.load_pem_x509_certificate((tmp_path / "chain.pem").read_bytes())
    for signed in (known.tbs_certificate_bytes, b"", b"\x30\x02\x05\x00"):
        assert certificates_module._key_type(Unknown(signed)) == "other"
