# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import Chain
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, wish
from cryptography.hazmat.primitives.serialization import Encoding

OTHER = "AB" * 32


def digest(certificate):
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


@pytest.mark.parametrize(
    ("published", "announced"),
    [
        ([], True),
        (["3 0 1 {leaf}"], True),
        (["2 0 1 {ca}"], True),
        (["3 0 1 " + OTHER, "3 0 1 {leaf}"], True),
        (["3 0 1 " + OTHER], False),
        (["3 0 1 {ca}"], False),
        (["2 0 1 {leaf}"], False),
    ],
)
def test_a_whole_certificate_that_is_published_is_announced_as_its_key_would_be(issue, fleet_ca, published, announced):
    chain = issue()
    sent = Chain(chain.key, (*chain.certificates, fleet_ca[0]))
    listed = [record.format(leaf=digest(chain.leaf), ca=digest(fleet_ca[0])) for record in published]
    assert supply.announced(wish("self_signed", SMALL, published_tlsa=listed).wish, (sent,)) is announced


def test_every_chain_that_is_served_must_be_announced(issue):
    chains = issue(), issue(kind=("rsa", 2048))
    records = [f"3 0 1 {digest(chain.leaf)}" for chain in chains]
    assert supply.announced(wish("self_signed", SMALL, published_tlsa=records).wish, chains)
    assert not supply.announced(wish("self_signed", SMALL, published_tlsa=records[:1]).wish, chains)
