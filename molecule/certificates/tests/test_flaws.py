# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that peers should not take are refused by a sentence of their own; those that an operator accepts
all the same are refused, or not, by a neighbour at level secure."""

import base64
import hashlib
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate
from flawed import CHAINS, signed_with_sha1
from mail import NODES, fqdn
from on_node import sh
from pki import CLIENT, Identity, authority, certify, ec_key, rsa_key
from tasks import LAB, cert, refused

testinfra_hosts = ["local://"]
NAME = fqdn("node1")


@pytest.fixture(scope="module")
def fleet_ca():
    """The fleet's own CA, whose certificates neighbours take."""
    key = serialization.load_pem_private_key((LAB / "fleet-ca.key").read_bytes(), None)
    return Identity(key, load_pem_x509_certificate((LAB / "fleet-ca.pem").read_bytes()))


def pem(leaf, *above, key=None, **more):
    chain = "".join(identity.pem for identity in (leaf, *above))
    return {"provider": "pem", "pem": {"private_key": key or leaf.key_pem, "certificate": chain, **more}}


def leaf(issuer, key=None, names=(NAME,), **flaws):
    return certify(NAME, key or ec_key(), issuer, names, **flaws)


def p12(identity, passphrase, **changes):
    how = serialization.BestAvailableEncryption(b"secret")
    parts = {"key": identity.key, "certificate": identity.certificate, **changes}
    data = pkcs12.serialize_key_and_certificates(b"x", parts["key"], parts["certificate"], None, how)
    options = {"archive": base64.b64encode(data).decode(), "passphrase": passphrase}
    return {"provider": "pkcs12", "pkcs12": {key: value for key, value in options.items() if value}}


FLAWS = {
    "expired": (lambda ca: pem(leaf(ca, begin=-9, end=-1)), r"expired on \d{4}-"),
    "not valid yet": (lambda ca: pem(leaf(ca, begin=1)), r"is not valid before \d{4}-"),
    "RSA 1024": (lambda ca: pem(leaf(ca, rsa_key(1024))), "has an RSA key of 1024 bits, fewer than 2048"),
    "SHA-1": (lambda ca: pem(signed_with_sha1(NAME, ca, f"subjectAltName=DNS:{NAME}")), "is signed with SHA1"),
    "no SAN": (lambda ca: pem(leaf(ca, names=())), "names no host in its SAN"),
    "another host": (lambda ca: pem(leaf(ca, names=["mx.elsewhere.test"])), f"names mx.elsewhere.test and not {NAME}"),
    "a wildcard for another domain": (lambda ca: pem(leaf(ca, names=["*.elsewhere.test"])), "and not node1.fleet.test"),
    "for clients alone": (lambda ca: pem(leaf(ca, usages=[CLIENT])), "is not allowed as a server certificate"),
    "may not sign": (lambda ca: pem(leaf(ca, sign=False)), "may not sign by its key usage"),
    "missing intermediate": (
        lambda ca: pem(leaf(authority("Lost", ca))),
        "lacks an intermediate: CN=Lost is neither given nor a CA that this node knows",
    ),
    "unknown CA": (lambda _ca: pem(leaf(authority("Nobody"))), "lacks an intermediate: CN=Nobody"),
    "expired intermediate": (
        lambda ca: pem(leaf(old := authority("Old", ca, begin=-9, end=-1)), old),
        "has an intermediate, CN=Old, that expired on",
    ),
    "issued by no CA": (
        lambda ca: pem(leaf(fake := certify("Fake", ec_key(), ca, ["fake.test"])), fake),
        "is issued by CN=Fake, which is not a CA's certificate",
    ),
    "another key": (lambda ca: pem(leaf(ca), key=leaf(ca).key_pem), "the private key does not match the certificate"),
    "encrypted key, no passphrase": (
        lambda ca: pem(made := leaf(ca), key=made.encrypted_key("swordfish")),
        r"pem\.private_key: .*; give its passphrase",
    ),
    "encrypted key, wrong passphrase": (
        lambda ca: pem(made := leaf(ca), key=made.encrypted_key("swordfish"), passphrase="swordfishes"),
        r"pem\.private_key: .*passphrase is wrong",
    ),
    "no key": (lambda ca: pem(made := leaf(ca), key=made.pem), r"pem\.private_key: this is no private key"),
    "no certificate": (
        lambda ca: {"provider": "pem", "pem": {"private_key": (made := leaf(ca)).key_pem, "certificate": made.key_pem}},
        r"pem\.certificate: holds no certificate",
    ),
    "a certificate cut short": (
        lambda ca: {
            "provider": "pem",
            "pem": {"private_key": (made := leaf(ca)).key_pem, "certificate": cut(made.pem)},
        },
        r"pem\.certificate: holds a certificate that cannot be read",
    ),
    "archive, wrong passphrase": (lambda ca: p12(leaf(ca), "swordfish"), r"pkcs12\.archive: .*the passphrase is wrong"),
    "archive, no passphrase": (lambda ca: p12(leaf(ca), None), r"pkcs12\.archive: .*give its passphrase"),
    "archive without a key": (lambda ca: p12(leaf(ca), "secret", key=None), r"pkcs12\.archive: holds no private key"),
    "archive that is none": (
        lambda _ca: {"provider": "pkcs12", "pkcs12": {"archive": "bm9uZQ=="}},
        r"pkcs12\.archive: cannot be opened",
    ),
    "no file": (
        lambda _ca: {"provider": "pem", "pem": {"private_key": "/none.key", "certificate": "/none.pem"}},
        r"pem\.private_key: .* cannot be read \(No such file",
    ),
}


def cut(text):
    lines = text.splitlines()
    return "\n".join([lines[0], *lines[3:]]) + "\n"


@pytest.mark.sampled
@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_refused_by_a_sentence_of_its_own_before_anything_is_written(flaw, fleet_ca):
    make, sentence = FLAWS[flaw]
    before = picture("node1")
    said = refused("node1", name="flawed", use=["server"], **make(fleet_ca))
    assert re.search(sentence, said), said
    assert len(said) < 600 and said.endswith(".")
    assert picture("node1") == before


@pytest.mark.sampled
@pytest.mark.parametrize("what", CHAINS)
def test_a_chain_that_openssl_refuses_is_refused_before_anything_is_written(what):
    make, kind, sentence = CHAINS[what]
    root = authority("Some root")
    given = pem(*make(root, NAME), *([] if kind == "incomplete_chain" else [root]))
    before = picture("node1")
    said = refused("node1", name="flawed", use=["server"], **given)
    assert re.search(sentence, said) and said.endswith(f"or accept: [{kind}]."), said
    assert picture("node1") == before


def picture(node):
    """Contents, modes, owners and times of the whole configuration directory."""
    listed = sh(node, "cd /etc/postfix && find . -type f -printf '%p %m %u %T@ ' -exec sha256sum {} ';' | sort")
    return hashlib.sha256(listed.encode()).hexdigest()


# What a neighbour at level secure makes of it, and which flaws the operator has to accept by name first.
ON_THE_WIRE = {
    "good": (leaf, [], "Verified"),
    "expired": (lambda ca: leaf(ca, begin=-9, end=-1), ["expired"], "certificate has expired"),
    "another host": (
        lambda ca: leaf(ca, names=["mx.elsewhere.test"]),
        ["other_host"],
        "hostname mismatch",
    ),
    "for clients alone": (
        lambda ca: leaf(ca, usages=[CLIENT]),
        ["wrong_usage"],
        "not designated for use as a server certificate",
    ),
    "unknown CA": (lambda _ca: leaf(authority("Nobody")), ["incomplete_chain"], "untrusted issuer /CN=Nobody"),
    # Postfix itself takes these, so refusing them before they are served is all the protection there is.
    "RSA 1024": (lambda ca: leaf(ca, rsa_key(1024)), ["weak_key"], "Verified"),
    "no SAN": (lambda ca: leaf(ca, names=()), ["no_san"], "Verified"),
}


@pytest.mark.usefixtures("fleet")
@pytest.mark.sampled
@pytest.mark.parametrize("what", ON_THE_WIRE)
def test_a_neighbour_at_level_secure_judges_what_was_accepted(what, fleet_ca):
    make, accept, verdict = ON_THE_WIRE[what]
    options = {"name": "trial", "use": ["server"], "accept": accept, **pem(make(fleet_ca))}
    cert("node1", **options)
    assert verdict in finger_secure()


def finger_secure():
    return sh(
        "node2",
        "chain=$(postconf -hx smtp_tls_chain_files); trust=$(postconf -hx smtp_tls_CAfile); "
        f"posttls-finger -c -l secure -k $chain -K $chain -F $trust '[{NODES['node1']}]' {NAME} 2>&1",
        check=False,
    )
