# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import read_wish

BASE = {"name": "default", "use": ["server"], "renew_before": 30, "self_signed": None, "own_ca": None, "pem": None}


def read(provider, given=None, **over):
    return read_wish({**BASE, "provider": provider, provider: given, **over}, "mx1.example.com", lambda path: b"read")


def test_the_default_cert_is_rsa_4096_and_names_the_host():
    wish = read("self_signed")
    assert (wish.key.kind, wish.key.size) == ("rsa", 4096)
    assert wish.spec.names == ("mx1.example.com",)


def test_a_fleet_certificate_is_p_256_for_90_days():
    wish = read("own_ca", {"ca_certificate": "-----BEGIN CERTIFICATE-----", "key_type": "ecdsa"})
    assert (wish.key.kind, wish.key.size, wish.spec.days) == ("ecdsa", 256, 90)


@pytest.mark.parametrize(
    ("provider", "given", "over", "problem"),
    [
        ("self_signed", {"key_type": "rsa", "key_size": 1024}, {}, "self_signed.key_size: 1024"),
        ("self_signed", {"key_type": "ecdsa", "key_size": 2048}, {}, "use one of 256, 384"),
        ("self_signed", {"names": []}, {}, "names nobody"),
        ("self_signed", {"names": ["not a name"]}, {}, "is not a domain name"),
        ("self_signed", {"days": -1}, {}, "self_signed.days: -1"),
        ("self_signed", {"days": 0}, {}, "self_signed.days: 0 is no lifetime; use 1 to 36500 days"),
        ("self_signed", {"days": 36501}, {}, "self_signed.days: 36501 is no lifetime"),
        ("self_signed", {"days": 20}, {}, "renew_before: 30"),
        ("self_signed", None, {"name": "../evil"}, "cannot name a certificate"),
        ("own_ca", {"ca_certificate": "/etc/ca.pem"}, {}, "is no certificate in PEM"),
        ("pem", {"private_key": "key.pem", "certificate": "cert.pem"}, {}, "is not an absolute path"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(provider, given, over, problem):
    with pytest.raises((InvalidValue, CertificateError), match=problem):
        read(provider, given, **over)
