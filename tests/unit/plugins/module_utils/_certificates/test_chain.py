# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import itertools

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    build_chain,
    certificates_by_key,
    certificates_pem,
    chains_pem,
    is_issued_by,
    order,
    read_certificates,
    read_chain_file,
    read_chains,
    readable_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    request,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.tests.unit import strange_keys
from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, x25519
from flawed import signed_with_sha1
from pki import authority

YEAR = 365
SPEC = CertificateSpec(("mx1.example.com",), 90)


@pytest.fixture(scope="module")
def ladder():
    """Key and certificates of a host: leaf, issuing CA, root."""
    keys = [make_key(KeySpec("ecdsa", 256)) for _step in range(3)]
    root = make_ca("Root", keys[2], 3650, utc_now())
    issuing = sign_request(
        request(["ca.example.com"], keys[1]), CertificateSpec(("ca.example.com",), 900), root, keys[2], utc_now()
    )
    leaf = sign_request(request(SPEC.names, keys[0]), SPEC, issuing, keys[1], utc_now())
    return Chain(keys[0], (leaf, issuing, root))


@pytest.mark.parametrize("places", list(itertools.permutations(range(3))))
def test_a_chain_is_put_in_order_from_any_order(ladder, places):
    shuffled = certificates_pem([ladder.certificates[place] for place in places])
    (chain,) = read_chains("pem", write_key(ladder.key), shuffled)
    assert chain.certificates == ladder.certificates


def test_a_chain_ends_where_the_next_issuer_is_missing(ladder):
    leaf, _issuing, root = ladder.certificates
    assert order(leaf, [root]) == (leaf,)


def test_a_certificate_that_does_not_belong_to_the_chain_is_left_out(ladder, issue):
    leaf, issuing, _root = ladder.certificates
    assert order(leaf, [issue().leaf, issuing]) == (leaf, issuing)


def test_a_root_stands_alone(ladder):
    root = ladder.certificates[2]
    assert order(root, list(ladder.certificates[:2])) == (root,)


def test_a_ca_of_the_same_name_with_another_key_did_not_issue_it(issue):
    impostor = make_ca("Fleet CA", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    assert issue().leaf.issuer == impostor.subject
    assert not is_issued_by(issue().leaf, impostor)


def test_a_ca_of_another_name_with_the_same_key_did_not_issue_it(issue, fleet_ca):
    renamed = make_ca("Renamed CA", fleet_ca[1], 3650, utc_now())
    assert not is_issued_by(issue().leaf, renamed)


def test_an_rsa_ca_is_recognised_by_its_signature():
    ca_key, key = make_key(KeySpec("rsa", 2048)), make_key(KeySpec("ecdsa", 256))
    ca = make_ca("RSA CA", ca_key, 3650, utc_now())
    assert is_issued_by(sign_request(request(SPEC.names, key), SPEC, ca, ca_key, utc_now()), ca)


def test_certificates_are_read_in_the_order_they_stand_in_with_words_between(ladder):
    text = (
        b"subject: leaf\n"
        + certificates_pem(ladder.certificates[:1])
        + b"\n\n# CA\n"
        + certificates_pem(ladder.certificates[1:])
    )
    assert read_certificates("ca_file", text) == ladder.certificates


def test_a_chain_file_for_two_kinds_of_key_holds_two_chains(ladder, issue):
    other = issue(kind=("rsa", 2048))
    first, second = read_chain_file("/store/1.pem", chains_pem((ladder, other)))
    assert (first.certificates, second.certificates) == (ladder.certificates, other.certificates)
    assert public_bytes(second.key.public_key()) == public_bytes(other.key.public_key())


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ("certificate", "/store/1.pem: holds no private key; a chain file begins with one"),
        (
            "key",
            "/store/1.pem: no certificate follows the private key; name the file of a key before that of its chain",
        ),
    ],
)
def test_half_a_chain_file_is_refused_by_name(ladder, parts, sentence):
    content = certificates_pem(ladder.certificates) if parts == "certificate" else write_key(ladder.key)
    with pytest.raises(CertificateError) as refusal:
        read_chain_file("/store/1.pem", content)
    assert str(refusal.value).startswith(sentence)


def test_a_chain_file_begins_with_the_key_and_reads_back(issue):
    chain = issue()
    content = chain.to_pem()
    assert content.startswith(b"-----BEGIN PRIVATE KEY-----")
    (read,) = read_chain_file("chain.pem", content)
    assert read.certificates == chain.certificates


def test_certificates_are_put_in_order(issue, fleet_ca):
    chain = issue()
    shuffled = certificates_pem([fleet_ca[0], chain.leaf])
    (read,) = read_chains("pem", write_key(chain.key), shuffled)
    assert read.certificates == (chain.leaf, fleet_ca[0])


def test_a_key_that_does_not_match_is_refused(issue):
    with pytest.raises(CertificateError, match="does not match the certificate"):
        build_chain("pem", make_key(KeySpec("ecdsa", 256)), issue().certificates)


def test_a_key_that_cannot_sign_is_read_where_a_node_has_one(fleet_ca):
    """Refused when it is given, today; a node may have one from before, and be asked about it."""
    key = x25519.X25519PrivateKey.generate()
    now = utc_now()
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx1.example.com")])
    builder = x509.CertificateBuilder(names, fleet_ca[0].subject, key.public_key(), 1, now, now)
    leaf = builder.sign(fleet_ca[1], hashes.SHA256(), default_backend())
    (read,) = read_chain_file("/store/1.pem", write_key(key) + certificates_pem([leaf]))
    assert read.certificates == (leaf,)
    assert public_bytes(read.key.public_key()) == public_bytes(key.public_key())


def test_a_chain_file_with_a_foreign_key_is_refused_by_name(issue):
    content = write_key(make_key(KeySpec("ecdsa", 256))) + certificates_pem(issue().certificates)
    with pytest.raises(CertificateError, match=r"^/store/1.pem: the private key does not match"):
        read_chain_file("/store/1.pem", content)


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_refused(content):
    with pytest.raises(CertificateError, match="ca_file"):
        read_certificates("ca_file", content)


def reissued(key, days, ca):
    spec = CertificateSpec(SPEC.names, days)
    return sign_request(request(SPEC.names, key), spec, *ca, utc_now())


@pytest.mark.parametrize("days", list(itertools.permutations([30, 60, 90])))
def test_of_several_certificates_for_one_key_the_newest_counts(fleet_ca, days):
    key = make_key(KeySpec("ecdsa", 256))
    leaves = [reissued(key, count, fleet_ca) for count in days]
    chain = build_chain("pem", key, [*leaves, fleet_ca[0]])
    assert chain.certificates == (leaves[days.index(90)], fleet_ca[0])


@pytest.mark.parametrize("places", list(itertools.permutations(range(4))))
def test_two_keys_share_one_heap_of_certificates(issue, fleet_ca, ladder, places):
    other = issue(kind=("rsa", 2048))
    heap = [ladder.certificates[0], ladder.certificates[1], other.leaf, fleet_ca[0]]
    keys = write_key(ladder.key) + write_key(other.key)
    first, second = read_chains("pem", keys, certificates_pem([heap[place] for place in places]))
    assert first.certificates == ladder.certificates[:2]
    assert second.certificates == (other.leaf, fleet_ca[0])


def test_each_key_needs_a_certificate(issue):
    one, other = issue(), issue()
    keys = write_key(one.key) + write_key(other.key)
    with pytest.raises(CertificateError, match="^pem: the private key does not match the certificate"):
        read_chains("pem", keys, certificates_pem(one.certificates))


@pytest.mark.parametrize(
    ("key", "certificate", "option"),
    [
        (b"none", None, "pem.private_key: this is no private key"),
        (None, b"none", "pem.certificate: holds no certificate"),
    ],
)
def test_what_is_missing_is_named_by_its_option(issue, key, certificate, option):
    chain = issue()
    with pytest.raises(CertificateError, match=f"^{option}"):
        read_chains("pem", key or write_key(chain.key), certificate or certificates_pem(chain.certificates))


def test_a_chain_file_for_two_keys_is_written_and_read_back(issue):
    chains = issue(), issue()
    read = read_chain_file("/store/1.pem", chains_pem(chains))
    assert [chain.certificates for chain in read] == [chain.certificates for chain in chains]
    assert chains_pem(read) == chains_pem(chains)


def test_the_second_key_of_a_chain_file_must_fit_too(issue):
    content = issue().to_pem() + write_key(issue().key) + certificates_pem(issue().certificates)
    with pytest.raises(CertificateError, match="^/store/1.pem: the private key does not match the certificate that"):
        read_chain_file("/store/1.pem", content)


@pytest.fixture(scope="module")
def pss():
    """A CA whose signatures are RSA-PSS (certificate, key), and a leaf that it has signed."""
    ca_key, key = make_key(KeySpec("rsa", 2048)), make_key(KeySpec("ecdsa", 256))
    ca = make_ca("PSS CA", ca_key, 3650, utc_now())
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(ca.subject).serial_number(7)
    builder = builder.public_key(key.public_key()).not_valid_before(utc_now())
    builder = builder.not_valid_after(utc_now() + datetime.timedelta(days=90))
    return ca, builder.sign(ca_key, hashes.SHA256(), rsa_padding=scheme)


class Old:
    """A certificate as cryptography before 40 gives it."""

    def __init__(self, certificate):
        self.certificate = certificate

    def __getattr__(self, name):
        if name == "verify_directly_issued_by":
            raise AttributeError(name)
        return getattr(self.certificate, name)


@pytest.mark.parametrize("age", [lambda certificate: certificate, Old], ids=["new", "old"])
def test_a_ca_that_signs_with_rsa_pss_is_recognised(pss, age):
    ca, leaf = pss
    assert is_issued_by(age(leaf), ca)


@pytest.mark.parametrize("kind", [("ecdsa", 256), ("rsa", 2048), "ed25519"])
def test_with_an_old_cryptography_issuers_are_recognised_by_their_signatures_too(kind):
    ca_key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else make_key(KeySpec(*kind))
    digest = None if kind == "ed25519" else hashes.SHA256()
    key = make_key(KeySpec("ecdsa", 256))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])

    def signed(public_key, subject):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(name).serial_number(7)
        builder = builder.public_key(public_key).not_valid_before(utc_now())
        return builder.not_valid_after(utc_now() + datetime.timedelta(days=YEAR)).sign(ca_key, digest)

    ca, leaf = signed(ca_key.public_key(), name), signed(key.public_key(), x509.Name([]))
    impostor = make_ca(
        "CA", make_key(KeySpec("rsa", 2048) if kind[0] == "rsa" else KeySpec("ecdsa", 256)), 9, utc_now()
    )
    assert is_issued_by(Old(leaf), ca)
    assert not is_issued_by(Old(leaf), impostor)


def refused(read, *given):
    with pytest.raises(CertificateError) as refusal:
        read(*given)
    return str(refusal.value)


def test_a_certificate_that_does_not_fit_or_cannot_be_read_is_refused_with_what_to_do(issue):
    chain, other = issue(), issue()
    own, foreign = chain.to_pem(), write_key(other.key) + certificates_pem(chain.certificates)
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    assert refused(build_chain, "pem", other.key, chain.certificates) == (
        "pem: the private key does not match the certificate; give a key and a certificate that belong together."
    )
    assert refused(read_chain_file, "/1.pem", certificates_pem(chain.certificates)) == (
        "/1.pem: holds no private key; a chain file begins with one (postconf(5), smtpd_tls_chain_files)."
    )
    assert refused(read_chain_file, "/1.pem", own + foreign) == (
        "/1.pem: the private key does not match the certificate that follows it; "
        "put the right pair there, or make the certificate anew."
    )
    unreadable = refused(read_certificates, "trust", own + broken)
    assert unreadable.startswith("trust: holds a certificate that cannot be read (")
    assert unreadable.endswith("); export it again.")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_the_systems_cas_one_that_cannot_be_read_is_passed_over(issue, place):
    good = [issue().leaf, issue().leaf]
    blocks = [certificates_pem([certificate]) for certificate in good]
    blocks.insert(place, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert readable_certificates(b"".join(blocks)) == tuple(good)


def test_two_cas_that_have_signed_each_other_end_a_chain_after_each_once():
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("One", "Other", "mx1")]
    keys = [make_key(KeySpec("ecdsa", 256)) for _each in names]

    def signed(subject, issuer):
        builder = x509.CertificateBuilder().subject_name(names[subject]).issuer_name(names[issuer]).serial_number(7)
        builder = builder.public_key(keys[subject].public_key()).not_valid_before(utc_now())
        return builder.not_valid_after(utc_now() + datetime.timedelta(days=9)).sign(keys[issuer], hashes.SHA256())

    one, other, leaf = signed(0, 1), signed(1, 0), signed(2, 0)
    assert order(leaf, [other, one]) == (leaf, one, other)


# What cryptography cannot read and OpenSSL can


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    return strange_keys.make(tmp_path_factory.mktemp("strange"))


def test_a_chain_file_of_such_a_kind_is_read_and_written_as_it_is(strange):
    chains = read_chain_file("/mx.pem", strange.chain_file + strange.root.encode())
    assert [len(chain.certificates) for chain in chains] == [2]
    assert chains_pem(chains) == strange.chain_file + strange.root.encode()


def test_the_leaf_of_such_a_key_is_the_one_that_has_issued_nothing(strange):
    (chain,) = read_chains("pem", strange.key.encode(), (strange.root + strange.leaf).encode())
    assert chain.certificates == read_certificates("chain", strange.chain.encode())


def test_such_a_key_does_not_go_with_a_certificate_of_another_kind(strange, issue):
    rsa = certificates_pem(issue(kind=("rsa", 2048)).certificates)
    with pytest.raises(CertificateError, match="^/mx.pem: the private key does not match the certificate that follows"):
        read_chain_file("/mx.pem", strange.key.encode() + rsa)
    with pytest.raises(CertificateError, match="^pem: the private key does not match the certificate"):
        read_chains("pem", strange.key.encode(), rsa)


def test_such_certificates_name_their_issuers_themselves(strange, tmp_path):
    leaf, root = read_certificates("chain", strange.chain.encode())
    other = read_certificates("chain", strange_keys.make(tmp_path).root.encode())[0]
    assert is_issued_by(leaf, root) and is_issued_by(root, root)
    assert not is_issued_by(leaf, leaf) and not is_issued_by(leaf, other)


def test_a_signature_with_sha_1_is_one_all_the_same():
    root = authority("Root")
    weak = signed_with_sha1("Weak", root, "basicConstraints=CA:TRUE").certificate
    assert is_issued_by(weak, root.certificate)
    assert not is_issued_by(weak, authority("Root").certificate)


def test_the_certificates_of_each_key_are_found_without_reading_a_key(issue):
    one, other = issue(), issue(days=10)
    broken = b"-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n"
    pem = [certificates_pem(chain.certificates) for chain in (one, other)]
    assert certificates_by_key([("x", broken + pem[0] + broken + broken + pem[1])]) == (
        ("x", one.certificates),
        ("x", other.certificates),
    )
    assert certificates_by_key([("x", pem[1] + broken), ("y", pem[0])]) == (
        ("x", other.certificates),
        ("y", one.certificates),
    )
    assert certificates_by_key([("x", pem[0].replace(b"CERTIFICATE", b"X509 CERTIFICATE"))]) == (
        ("x", one.certificates),
    )


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n"])
def test_no_certificate_of_any_key_is_a_sentence(pem):
    with pytest.raises(CertificateError, match=r"^/x\.pem: holds no certificate in PEM;"):
        certificates_by_key([("/x.pem", pem)])
