# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import is_issued_by
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    dns_names,
    extended_key_usages,
    hash_name,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    last_day,
    make_ca,
    request,
    requested_names,
    self_sign,
    sign_request,
    split_requests,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import (
    not_after,
    not_before,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
SPEC = CertificateSpec(("mx1.example.com", "smtp.example.com"), 90)
SERVER_AND_CLIENT = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]


@pytest.fixture(scope="module")
def key():
    return make_key(KeySpec("ecdsa", 256))


@pytest.fixture(params=["itself", "ca"])
def leaf(request, key, fleet_ca):
    return self_sign(SPEC, key, NOW) if request.param == "itself" else signed(key, fleet_ca)


def signed(key, fleet_ca, spec=SPEC, names=("mx1.example.com",)):
    return sign_request(request(names, key), spec, *fleet_ca, NOW)


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def common_names(name):
    return [attribute.value for attribute in name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]


def test_a_leaf_names_its_hosts_and_lives_from_an_hour_ago_for_its_days(leaf, key):
    assert dns_names(leaf) == ["mx1.example.com", "smtp.example.com"]
    assert common_names(leaf.subject) == ["mx1.example.com"]
    assert not_before(leaf) == NOW - datetime.timedelta(hours=1)
    assert not_after(leaf) == NOW + datetime.timedelta(days=90)
    assert hash_name(leaf) == "sha256"
    assert public_bytes(leaf.public_key()) == public_bytes(key.public_key())


def test_a_leaf_shows_who_a_node_is_when_it_receives_and_when_it_sends(leaf):
    assert extended_key_usages(leaf) == SERVER_AND_CLIENT
    assert extension(leaf, x509.BasicConstraints).value.ca is False
    assert extension(leaf, x509.KeyUsage).value.digital_signature
    assert not extension(leaf, x509.KeyUsage).value.key_cert_sign


def test_a_self_signed_certificate_is_issued_by_itself_and_not_by_the_fleet(key, fleet_ca):
    leaf = self_sign(SPEC, key, NOW)
    assert is_issued_by(leaf, leaf)
    assert not is_issued_by(leaf, fleet_ca[0])


def test_a_fleet_certificate_is_issued_by_the_ca_and_points_to_its_key(key, fleet_ca):
    leaf = signed(key, fleet_ca)
    assert is_issued_by(leaf, fleet_ca[0])
    assert not is_issued_by(leaf, leaf)
    pointed = extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier
    assert pointed == extension(fleet_ca[0], x509.SubjectKeyIdentifier).value.digest


def test_the_names_come_from_the_ca_and_not_from_the_request(key, fleet_ca):
    leaf = signed(key, fleet_ca, names=("mx9.example.com",))
    assert dns_names(leaf) == list(SPEC.names)
    assert common_names(leaf.subject) == ["mx1.example.com"]


def test_each_certificate_has_a_serial_of_its_own(key, fleet_ca):
    assert signed(key, fleet_ca).serial_number != signed(key, fleet_ca).serial_number


def test_a_request_that_was_tampered_with_is_not_signed(key, fleet_ca):
    csr = x509.load_pem_x509_csr(request(SPEC.names, key))
    der = bytearray(csr.public_bytes(serialization.Encoding.DER))
    place = bytes(der).index(b"mx1.example.com")
    der[place : place + 3] = b"mx9"
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(
        CertificateError, match=r"^The node's certificate request is not signed by its own key; run the task again\.$"
    ):
        sign_request(forged, SPEC, *fleet_ca, NOW)


@pytest.mark.parametrize(("length", "named"), [(64, True), (65, False)])
def test_a_name_too_long_for_a_common_name_stands_in_the_san_alone(key, length, named):
    host = "m" * (length - len(".mail.example.com") - 10) + "." + "n" * 9 + ".mail.example.com"
    assert len(host) == length
    leaf = self_sign(CertificateSpec((host,), 90), key, NOW)
    assert common_names(leaf.subject) == ([host] if named else [])
    assert dns_names(leaf) == [host]


def test_a_ca_may_sign_hosts_and_no_further_cas(key):
    ca = make_ca("Fleet CA", key, 3650, NOW)
    constraints = extension(ca, x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert usages(ca) == ["digital_signature", "key_cert_sign", "crl_sign"]
    assert common_names(ca.subject) == common_names(ca.issuer) == ["Fleet CA"]
    assert not_after(ca) == NOW + datetime.timedelta(days=3650)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_requests_one_after_the_other_are_told_apart(key, count):
    made = [request([f"mx{number}.example.com", "smtp.example.com"], key) for number in range(count)]
    text = b"first\n" + b"# between\n".join(made)
    assert [part.strip() for part in split_requests(text)] == [part.strip() for part in made]
    assert requested_names(text) == [(f"mx{number}.example.com", "smtp.example.com") for number in range(count)]


@pytest.mark.parametrize("text", [b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"])
def test_where_there_is_no_request_nobody_asks_for_anything(text):
    assert (split_requests(text), requested_names(text)) == ([], [])


def test_a_request_names_what_it_asks_for_and_is_signed_by_its_key(key):
    csr = x509.load_pem_x509_csr(request(["mx1.example.com", "*.example.com"], key))
    assert csr.is_signature_valid
    assert dns_names(csr) == ["mx1.example.com", "*.example.com"]
    assert common_names(csr.subject) == ["mx1.example.com"]
    assert public_bytes(csr.public_key()) == public_bytes(key.public_key())


def test_a_request_holds_no_private_key(key):
    assert b"PRIVATE" not in request(SPEC.names, key)


USAGES = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"


def usages(certificate):
    found = extension(certificate, x509.KeyUsage)
    assert found.critical
    return [name for name in USAGES.split() if getattr(found.value, name)]


def test_a_leaf_may_sign_a_handshake_and_nothing_else(leaf):
    assert usages(leaf) == ["digital_signature"]
    assert extension(leaf, x509.BasicConstraints).critical
    assert extension(leaf, x509.BasicConstraints).value == x509.BasicConstraints(ca=False, path_length=None)
    assert not extension(leaf, x509.SubjectAlternativeName).critical
    assert not extension(leaf, x509.ExtendedKeyUsage).critical


ED448 = ed448.Ed448PrivateKey.generate()


@pytest.mark.parametrize("ca_key", [make_key(KeySpec("ed25519", 0)), ED448, make_key(KeySpec("rsa", 2048))])
@pytest.mark.parametrize("spec", [KeySpec("ecdsa", 256), KeySpec("ed25519", 0)])
def test_a_ca_with_any_key_signs_for_any_key(ca_key, spec):
    leaf_key, ca = make_key(spec), make_ca("Fleet CA", ca_key, 3650, NOW)
    leaf = sign_request(request(SPEC.names, leaf_key), SPEC, ca, ca_key, NOW)
    assert is_issued_by(leaf, ca) and is_issued_by(ca, ca)
    assert public_bytes(leaf.public_key()) == public_bytes(leaf_key.public_key())


def test_an_ed25519_key_signs_for_itself():
    key = make_key(KeySpec("ed25519", 0))
    made = self_sign(SPEC, key, NOW)
    assert is_issued_by(made, made) and hash_name(made) is None


@pytest.mark.parametrize(
    ("ca_days", "above_days", "lifetime"),
    [([91], [], 90), ([90], [], 90), ([89], [], 89), ([3650], [40], 40), ([30], [40], 30), ([3650], [3650, 7], 7)],
)
def test_a_certificate_outlives_none_of_the_cas_above_it(key, ca_days, above_days, lifetime):
    ca, *above = [make_ca("CA", key, days, NOW) for days in [*ca_days, *above_days]]
    leaf = sign_request(request(SPEC.names, key), SPEC, ca, key, NOW, above=above)
    assert not_after(leaf) == NOW + datetime.timedelta(days=lifetime)
    assert last_day([ca, leaf]) == not_after(leaf)
