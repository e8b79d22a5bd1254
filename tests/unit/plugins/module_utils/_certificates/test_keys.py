# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import keys
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    describe_public_key,
    make_key,
    public_bytes,
    public_key_of,
    read_any_key,
    read_key,
    read_keys,
    read_served_keys,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.opaque import OpaqueKey
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.tests.unit import strange_keys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, x448, x25519


@pytest.mark.parametrize(
    ("given", "spec"),
    [
        ({"key_type": "rsa"}, KeySpec("rsa", 4096)),
        ({"key_type": "rsa", "key_size": None}, KeySpec("rsa", 4096)),
        ({"key_type": "rsa", "key_size": 2048}, KeySpec("rsa", 2048)),
        ({"key_type": "rsa", "key_size": 3072}, KeySpec("rsa", 3072)),
        ({"key_type": "ecdsa"}, KeySpec("ecdsa", 256)),
        ({"key_type": "ecdsa", "key_size": 384}, KeySpec("ecdsa", 384)),
        ({"key_type": "ed25519"}, KeySpec("ed25519", 0)),
        ({"key_type": "ed25519", "key_size": None}, KeySpec("ed25519", 0)),
    ],
)
def test_a_kind_of_key_has_a_size_of_its_own(given, spec):
    assert KeySpec.read("self_signed", given) == (spec,)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"key_type": "rsa", "key_size": 1024},
            "own_ca.key_size: 1024 is no size for a key of type rsa; use one of 2048, 3072, 4096.",
        ),
        (
            {"key_type": "ecdsa", "key_size": 521},
            "own_ca.key_size: 521 is no size for a key of type ecdsa; use one of 256, 384.",
        ),
        (
            {"key_type": "ed25519", "key_size": 256},
            "own_ca.key_size: 256 is no choice for a key of type ed25519; leave it out.",
        ),
    ],
)
def test_a_size_that_peers_refuse_is_no_size_for_a_key(given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        KeySpec.read("own_ca", given)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "spec", [KeySpec("rsa", 2048), KeySpec("ecdsa", 256), KeySpec("ecdsa", 384), KeySpec("ed25519", 0)]
)
def test_a_key_is_what_was_asked_for_and_reads_back_the_same(spec):
    key = make_key(spec)
    assert spec.fits(key.public_key())
    assert describe_public_key(key.public_key()) == (spec.kind, spec.size)
    pem = write_key(key)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert public_bytes(read_key("key", pem).public_key()) == public_bytes(key.public_key())


@pytest.mark.parametrize("other", [KeySpec("ecdsa", 384), KeySpec("rsa", 2048), KeySpec("rsa", 256)])
def test_a_key_of_another_kind_or_size_does_not_fit(other):
    assert not other.fits(make_key(KeySpec("ecdsa", 256)).public_key())


def test_a_kind_of_key_that_is_never_made_here_is_described_by_its_name():
    assert describe_public_key(ed448.Ed448PrivateKey.generate().public_key()) == ("ed448", 0)


def test_a_key_with_a_passphrase_lies_encrypted():
    assert write_key(make_key(KeySpec("ecdsa", 256)), "secret").startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")


def test_a_passphrase_for_a_key_that_has_none_is_refused():
    pem = write_key(make_key(KeySpec("ecdsa", 256)))
    with pytest.raises(CertificateError, match=r"^pem.private_key: .+; leave the passphrase out\.$"):
        read_key("pem.private_key", pem, "secret")


@pytest.mark.parametrize(
    "pem", [b"", b"hunter2", b"-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_private_key_is_refused_without_a_word_of_it(pem):
    with pytest.raises(CertificateError) as refusal:
        read_key("pem.private_key", pem)
    assert str(refusal.value) == ("pem.private_key: this is no private key that can be read; give it in PEM.")
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__


@pytest.mark.parametrize("leaves_primes", [True, False])
def test_an_rsa_key_whose_halves_do_not_belong_together_is_no_key(monkeypatch, leaves_primes):
    monkeypatch.setattr(keys, "CAN_LEAVE_PRIMES", leaves_primes)
    one, other = (make_key(KeySpec("rsa", 2048)) for _number in range(2))
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    moduli = (key.public_key().public_numbers().n.to_bytes(256, "big") for key in (one, other))
    mixed = one.private_bytes(serialization.Encoding.DER, form, plain).replace(*moduli)
    with pytest.raises(CertificateError, match="no private key that can be read"):
        read_key("pem.private_key", ssl.DER_cert_to_PEM_cert(mixed).replace("CERTIFICATE", "RSA PRIVATE KEY").encode())


@pytest.mark.parametrize("kind", [x25519.X25519PrivateKey, x448.X448PrivateKey])
def test_a_key_that_cannot_sign_is_refused_before_it_is_to_sign(kind):
    with pytest.raises(CertificateError, match=r"^own_ca.ca_private_key: this is a key that cannot sign; give an RSA"):
        read_key("own_ca.ca_private_key", write_key(kind.generate()))


@pytest.mark.parametrize(
    ("passphrase", "remedy"),
    [
        (None, r"; give its passphrase\.$"),
        ("wrong", r": this is no private key that can be read, or the passphrase is wrong; give it in PEM\.$"),
    ],
)
def test_an_encrypted_key_without_its_passphrase_is_refused_and_not_repeated(passphrase, remedy):
    pem = write_key(make_key(KeySpec("ecdsa", 256)), "right")
    with pytest.raises(CertificateError, match=remedy) as refusal:
        read_key("pem.private_key", pem, passphrase)
    assert pem.decode().splitlines()[1] not in str(refusal.value)


def test_an_encrypted_key_is_read_with_its_passphrase():
    assert read_key("pem.private_key", write_key(make_key(KeySpec("ecdsa", 256)), "right"), "right")


@pytest.mark.parametrize(
    ("given", "specs"),
    [
        ({"key_type": "both"}, (KeySpec("ecdsa", 256), KeySpec("rsa", 3072))),
        ({"key_type": "both", "key_size": None}, (KeySpec("ecdsa", 256), KeySpec("rsa", 3072))),
        ({"key_type": "both", "key_size": 4096}, (KeySpec("ecdsa", 256), KeySpec("rsa", 4096))),
    ],
)
def test_both_are_an_ecdsa_key_and_an_rsa_key_of_the_size_given(given, specs):
    assert KeySpec.read("self_signed", given) == specs


@pytest.mark.parametrize("size", [256, 384, 1024])
def test_the_size_of_both_is_the_rsa_keys(size):
    with pytest.raises(InvalidValue, match=f"^csr.key_size: {size} is no size for a key of type rsa"):
        KeySpec.read("csr", {"key_type": "both", "key_size": size})


@pytest.mark.parametrize("passphrase", [None, "secret"])
def test_every_key_in_a_file_is_read_with_words_and_certificates_between(issue, passphrase):
    keys = [make_key(KeySpec("ecdsa", 256)) for _turn in range(2)]
    parts = [write_key(key, passphrase) for key in keys]
    content = b"# first\n" + parts[0] + certificates_pem(issue().certificates) + b"# second\n" + parts[1]
    read = read_keys("pem.private_key", content, passphrase)
    assert [public_bytes(key.public_key()) for key in read] == [public_bytes(key.public_key()) for key in keys]


@pytest.mark.parametrize("pem", [b"", b"hunter2", b"-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----"])
def test_a_file_without_a_key_is_refused_without_a_word_of_it(pem):
    with pytest.raises(CertificateError) as refusal:
        read_keys("pem.private_key", pem)
    assert str(refusal.value) == "pem.private_key: this is no private key that can be read; give it in PEM."


@pytest.mark.parametrize("format", ["TraditionalOpenSSL", "PKCS8"])
@pytest.mark.parametrize("spec", [KeySpec("rsa", 2048), KeySpec("ecdsa", 256)])
def test_a_key_is_read_in_either_form_of_pem(spec, format):
    key = make_key(spec)
    form = getattr(serialization.PrivateFormat, format)
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (read,) = read_keys("key", pem)
    assert spec.fits(read.public_key())


def test_the_parameters_of_a_curve_before_its_key_are_no_key():
    key = make_key(KeySpec("ecdsa", 256))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (read,) = read_keys("key", parameters + pem)
    assert public_bytes(read.public_key()) == public_bytes(key.public_key())


# Keys that OpenSSL reads and cryptography does not


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    return strange_keys.make(tmp_path_factory.mktemp("strange"))


def test_a_key_that_cryptography_cannot_read_is_passed_on_as_it_is(strange):
    key = read_any_key("key", strange.key.encode())
    assert isinstance(key, OpaqueKey) and write_key(key) == strange.key.encode()
    assert read_served_keys("key", strange.key.encode()) == (key,)


def test_nothing_is_signed_with_such_a_key(strange):
    with pytest.raises(CertificateError) as refusal:
        read_keys("own_ca.ca_private_key", strange.key.encode())
    assert str(refusal.value) == (
        "own_ca.ca_private_key: python3-cryptography cannot sign with a key of type ecdsa; give an RSA, ECDSA or Ed25519 key."
    )


def test_a_key_that_is_to_be_served_must_be_able_to_sign():
    with pytest.raises(CertificateError, match="^pem.private_key: this is a key that cannot sign"):
        read_served_keys("pem.private_key", write_key(x25519.X25519PrivateKey.generate()))


def test_the_public_half_of_such_a_key_is_as_openssl_prints_it(strange):
    leaf, _root = read_certificates("chain", strange.chain.encode())
    public_key = public_key_of(leaf)
    assert public_bytes(public_key) == strange_keys.public_key(strange.key)
    assert describe_public_key(public_key) == ("ecdsa", 0)
    assert not KeySpec("ecdsa", 256).fits(public_key)
