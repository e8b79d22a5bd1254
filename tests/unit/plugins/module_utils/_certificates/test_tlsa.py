# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import public_bytes
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.tlsa import Record
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from cryptography.hazmat.primitives.serialization import Encoding

DIGEST = "9C41" * 16
HASHES = {0: bytes, 1: lambda der: hashlib.sha256(der).digest(), 2: lambda der: hashlib.sha512(der).digest()}


def data(certificate, selector, matching):
    """What a record says of a certificate (RFC 6698 section 2.1)."""
    der = public_bytes(certificate.public_key()) if selector else certificate.public_bytes(Encoding.DER)
    return HASHES[matching](der).hex().upper()


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (f"3 1 1 {DIGEST}", Record(3, 1, 1, DIGEST)),
        (f"  3  1\t1 {DIGEST.lower()} \n", Record(3, 1, 1, DIGEST)),
        (f"3 1 1 {DIGEST[:32]} {DIGEST[32:]}", Record(3, 1, 1, DIGEST)),
        (f"2 0 2 {DIGEST * 2}", Record(2, 0, 2, DIGEST * 2)),
        ("3 0 0 3082", Record(3, 0, 0, "3082")),
    ],
)
def test_a_record_is_read_as_a_zone_file_has_it(text, record):
    assert tlsa.read_record("published_tlsa[0]", text) == record
    assert tlsa.read_record("published_tlsa[0]", str(record)) == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        DIGEST,
        f"0 1 1 {DIGEST}",
        f"1 1 1 {DIGEST}",
        f"4 1 1 {DIGEST}",
        f"3 2 1 {DIGEST}",
        f"3 1 3 {DIGEST}",
        "3 1 1",
        "3 1 1 9C41...",
        f"311{DIGEST}",
        f"_25._tcp.mx1.example.com. IN TLSA 3 1 1 {DIGEST}",
        f"3 1 1 {DIGEST};",
        f"3 1 1 {DIGEST[:-2]}",
        f"3 1 1 {DIGEST}9C",
        f"3 1 1 {DIGEST * 2}",
        f"3 1 2 {DIGEST}",
        f"2 1 2 {DIGEST * 2}9C",
        "3 0 0 308",
    ],
)
def test_what_is_no_record_of_smtp_is_refused_with_an_example(text):
    with pytest.raises(InvalidValue) as refusal:
        tlsa.read_record("published_tlsa[0]", text)
    assert str(refusal.value) == (
        f"published_tlsa[0]: {text!r} is no TLSA record that SMTP uses; "
        "write usage (2 or 3), selector, matching type and the digest in hexadecimal, as in 3 1 1 9C41...."
    )


def test_a_chain_is_published_by_its_key_and_by_each_ca_that_is_sent_along(issue, fleet_ca):
    chain = issue()
    assert tlsa.records(chain.certificates) == [f"3 1 1 {data(chain.leaf, 1, 1)}"]
    assert tlsa.records([chain.leaf, fleet_ca[0]]) == [
        f"3 1 1 {data(chain.leaf, 1, 1)}",
        f"2 1 1 {data(fleet_ca[0], 1, 1)}",
    ]


def test_everything_else_that_would_match_a_chain_is_listed_as_its_alternatives(issue, fleet_ca):
    chain, other = issue(), issue(kind=("rsa", 2048))
    certificates = [chain.leaf, fleet_ca[0]]
    found = tlsa.alternatives(certificates)
    kinds = [(usage, selector, matching) for usage in (3, 2) for selector in (0, 1) for matching in (1, 2)]
    assert sorted([*found, *tlsa.records(certificates)]) == sorted(
        f"{usage} {selector} {matching} {data(certificates[3 - usage], selector, matching)}"
        for usage, selector, matching in kinds
    )
    for record in found:
        read = [tlsa.read_record("published_tlsa[0]", record)]
        assert tlsa.holds(read, chain.leaf.public_key(), [fleet_ca[0]], chain.leaf)
        assert not tlsa.holds(read, other.leaf.public_key(), [], other.leaf)
    assert tlsa.of_key(chain.leaf.public_key(), 2) in found


def test_a_record_of_a_key_is_known_before_any_certificate(issue):
    chain = issue()
    assert tlsa.of_key(chain.key.public_key()) == tlsa.records(chain.certificates)[0]


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("usage", [2, 3])
def test_a_record_holds_for_what_it_speaks_of_and_for_nothing_else(issue, fleet_ca, *, usage, selector, matching):
    chain, other = issue(), issue()
    spoken_of = fleet_ca[0] if usage == 2 else chain.leaf
    record = [Record(usage, selector, matching, data(spoken_of, selector, matching))]
    assert tlsa.holds(record, chain.leaf.public_key(), [fleet_ca[0]], chain.leaf)
    assert tlsa.holds(record, other.leaf.public_key(), [fleet_ca[0]], other.leaf) is (usage == 2)
    assert tlsa.holds(record, chain.leaf.public_key(), [], chain.leaf) is (usage == 3)


@pytest.mark.parametrize(("selector", "holds"), [(0, False), (1, True)])
def test_before_a_certificate_is_signed_only_its_key_can_match(issue, selector, holds):
    leaf = issue().leaf
    record = Record(3, selector, 1, data(leaf, selector, 1))
    assert tlsa.holds([record], leaf.public_key(), []) is holds


def test_one_record_that_matches_is_enough(issue):
    leaf = issue().leaf
    records = [Record(3, 1, 1, DIGEST), Record(2, 0, 1, DIGEST), Record(3, 1, 1, data(leaf, 1, 1))]
    assert tlsa.holds(records, leaf.public_key(), [], leaf)
    assert not tlsa.holds(records[:2], leaf.public_key(), [], leaf)
    assert not tlsa.holds([], leaf.public_key(), [], leaf)
