# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.archive import read_archive
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import public_bytes
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12

SECRET = "correct horse"


def pack(key, certificate, others=(), passphrase=SECRET):
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"mx1", key, certificate, list(others), lock)


@pytest.mark.parametrize("passphrase", [SECRET, None, "größer"])
@pytest.mark.parametrize("kind", [("ecdsa", 256), ("rsa", 2048)])
def test_an_archive_holds_a_key_with_its_chain_in_order(issue, fleet_ca, passphrase, kind):
    chain = issue(kind=kind)
    (read,) = read_archive("pkcs12", pack(chain.key, chain.leaf, [fleet_ca[0]], passphrase), passphrase)
    assert read.certificates == (chain.leaf, fleet_ca[0])
    assert public_bytes(read.key.public_key()) == public_bytes(chain.key.public_key())


def test_a_certificate_that_does_not_stand_first_is_found(issue, fleet_ca):
    chain = issue()
    (read,) = read_archive("pkcs12", pack(chain.key, None, [fleet_ca[0], chain.leaf]), SECRET)
    assert read.certificates == (chain.leaf, fleet_ca[0])


@pytest.mark.parametrize(
    ("passphrase", "remedy"),
    [
        ("wrong horse", "the passphrase is wrong, or this is no PKCS#12"),
        (None, "give its passphrase, if this is PKCS#12 at all"),
        ("", "give its passphrase, if this is PKCS#12 at all"),
    ],
)
def test_an_archive_that_does_not_open_says_so_without_a_word_of_it(issue, passphrase, remedy):
    chain = issue()
    with pytest.raises(CertificateError) as refusal:
        read_archive("pkcs12", pack(chain.key, chain.leaf), passphrase)
    assert str(refusal.value) == f"pkcs12.archive: cannot be opened; {remedy}."
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__


@pytest.mark.parametrize("data", [b"", b"hunter2", b"\x30\x82\x05\xdchunter2"])
@pytest.mark.parametrize("passphrase", [None, "hunter3"])
def test_what_is_no_archive_is_refused_and_not_repeated(data, passphrase):
    with pytest.raises(CertificateError, match="^pkcs12.archive: cannot be opened; ") as refusal:
        read_archive("pkcs12", data, passphrase)
    assert "hunter" not in str(refusal.value)


def test_an_archive_without_a_key_is_refused(issue):
    with pytest.raises(CertificateError) as refusal:
        read_archive("pkcs12", pack(None, None, [issue().leaf]), SECRET)
    assert str(refusal.value) == "pkcs12.archive: holds no private key; export it again with the key."


def test_an_archive_without_a_certificate_is_refused(issue):
    with pytest.raises(CertificateError) as refusal:
        read_archive("pkcs12", pack(issue().key, None), SECRET)
    assert str(refusal.value) == "pkcs12.archive: holds no certificate; export it again with the certificate."


def test_an_archive_whose_key_is_anothers_is_refused(issue):
    with pytest.raises(CertificateError, match="^pkcs12: the private key does not match the certificate"):
        read_archive("pkcs12", pack(issue().key, None, [issue().leaf]), SECRET)
