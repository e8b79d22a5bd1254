# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of plans and of providers share: a CA of another CA, and tasks of each provider."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    certificates_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    request,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import Fleet
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from cryptography import x509
from cryptography.hazmat.primitives import hashes


@pytest.fixture(scope="session")
def hierarchy():
    """A root, an issuing CA of its own (certificate, key), and a leaf's chain of the two."""
    keys = [make_key(KeySpec("ecdsa", 256)) for _step in range(3)]
    root = cross_signed("Root", keys[0], make_ca("Root", keys[0], 3650, utc_now()), keys[0], path_length=1)
    issuing = cross_signed("Issuing CA", keys[1], root, keys[0])
    spec = CertificateSpec(("mx1.example.com",), 90)
    leaf = sign_request(request(spec.names, keys[2]), spec, issuing, keys[1], utc_now())
    return root, (issuing, keys[1]), Chain(keys[2], (leaf, issuing))


def cross_signed(name, key, issuer, issuer_key, path_length=0):
    """A CA's certificate by another CA."""
    own = make_ca(name, key, 3650, utc_now())
    builder = x509.CertificateBuilder().subject_name(own.subject).issuer_name(issuer.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(own.not_valid_before_utc).not_valid_after(own.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture
def fleet(node, fleet_ca, issue):
    write(node.store("trust", "1.pem"), certificates_pem([fleet_ca[0]]))
    return Fleet(node, fleet_ca, issue)
