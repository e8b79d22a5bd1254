# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.trust import trusted
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@pytest.fixture(scope="module")
def key():
    return make_key(KeySpec("ecdsa", 256))


@pytest.fixture(scope="module")
def authority(key):
    return make_ca("Another CA", key, 3650, utc_now())


def items(node, parameters, side="smtp", anchors=None, planned=None):
    return trusted(configured(node, planned=planned), parameters, side, anchors).items


def test_the_cas_of_a_file_count_each_for_itself(node, fleet_ca, authority):
    one = write(node.path("one.pem"), certificates_pem([fleet_ca[0]]))
    both = write(node.path("both.pem"), certificates_pem([authority, fleet_ca[0]]))
    few, many = (items(node, {"smtp_tls_CAfile": path}) for path in (one, both))
    assert (len(few), len(many)) == (1, 2)
    assert few < many
    assert all(name.startswith("CA ") for name in many)


def test_the_same_cas_in_another_file_are_the_same(node, fleet_ca, authority):
    one = write(node.path("one.pem"), certificates_pem([fleet_ca[0], authority]))
    other = write(
        node.path("other.pem"), b"# comment\n" + certificates_pem([authority, fleet_ca[0]]).replace(b"\n", b"\r\n")
    )
    assert items(node, {"smtp_tls_CAfile": one}) == items(node, {"smtp_tls_CAfile": other})


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, set()),
        ({"smtp_tls_CApath": "/etc/ssl/certs"}, {"folder /etc/ssl/certs"}),
        ({"smtp_tls_CApath": "/etc/ssl/certs", "smtpd_tls_CApath": "/else"}, {"folder /etc/ssl/certs"}),
        ({"smtp_tls_CAfile": "/nowhere/ca.pem"}, set()),
        ({"tls_append_default_CA": "yes"}, set()),
        (
            {"smtp_tls_CApath": "/a", "tls_append_default_CA": "yes"},
            {"folder /a", "the system's CAs (tls_append_default_CA)"},
        ),
        ({"tls_append_default_CA": "no"}, set()),
    ],
)
def test_folders_count_as_a_whole_and_a_file_that_is_none_believes_nobody(node, parameters, found):
    assert items(node, parameters) == found


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_no_ca(node, content):
    assert items(node, {"smtp_tls_CAfile": write(node.path("broken.pem"), content)}) == set()


def test_trust_anchors_take_the_place_of_the_cas(node, fleet_ca, authority):
    cas = write(node.path("cas.pem"), certificates_pem([fleet_ca[0]]))
    anchor = write(node.path("anchor.pem"), certificates_pem([authority]))
    main_cf = {"smtp_tls_CAfile": cas, "smtp_tls_CApath": "/etc/ssl/certs"}
    of_anchor = items(node, {"smtp_tls_CAfile": anchor})
    assert items(node, {**main_cf, "smtp_tls_trust_anchor_file": anchor}) == of_anchor
    assert items(node, main_cf, anchors=anchor) == of_anchor
    assert items(node, {**main_cf, "smtp_tls_trust_anchor_file": f"{cas}, {anchor}"}) == of_anchor | items(
        node, {"smtp_tls_CAfile": cas}
    )


def test_a_public_key_may_be_a_trust_anchor(node, key):
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    anchor = write(node.path("anchor.pem"), pem)
    assert len(items(node, {}, anchors=anchor)) == 1


def test_a_file_that_is_only_planned_counts_already(node, fleet_ca):
    planned = {"/new/ca.pem": certificates_pem([fleet_ca[0]])}
    lies_there = write(node.path("ca.pem"), planned["/new/ca.pem"])
    found = items(node, {"smtp_tls_CAfile": "/new/ca.pem"}, planned=planned)
    assert found == items(node, {"smtp_tls_CAfile": lies_there}) != set()
