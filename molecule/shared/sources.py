# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the certificates of tests come from: options of smtp_tls_cert, a function each."""

import base64
import subprocess

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from mail import DOMAIN, fqdn
from on_node import sh
from pki import certify, ec_key, rsa_key
from tasks import LAB, cert

NAME = fqdn("node1")
NAMES = {"names": ["{{ inventory_hostname }}." + DOMAIN]}
"""What a certificate of an own CA calls a node: in the inventory it has a short name."""
FLEET_CA = {"ca_certificate": str(LAB / "fleet-ca.pem"), "ca_private_key": str(LAB / "fleet-ca.key"), **NAMES}


def self_signed(_outside, _folder):
    return {"provider": "self_signed", "self_signed": {"days": 100}}


def self_signed_both(_outside, _folder):
    return {"provider": "self_signed", "self_signed": {"key_type": "both", "key_size": 2048}}


def own_ca(_outside, _folder):
    return {"provider": "own_ca", "own_ca": FLEET_CA}


def own_ca_both(_outside, _folder):
    return {"provider": "own_ca", "own_ca": {**FLEET_CA, "key_type": "both", "key_size": 2048}}


def own_ca_with_passphrase(_outside, folder):
    """A CA whose key is encrypted by a passphrase, in a vaulted file."""
    secret = folder / "vault-password"
    secret.write_text("of the vault")
    made = {"ca_certificate": str(folder / "ca.pem"), "ca_private_key": str(folder / "ca.key"), **NAMES}
    made["ca_passphrase"] = "x y"
    trust = {"authorities": [FLEET_CA["ca_certificate"]]}
    cert("node1", "--check", name="trial", provider="own_ca", own_ca={**made, "ca_create": True}, trust=trust)
    assert not (folder / "ca.key").exists(), "check mode makes no CA"
    cert("node1", name="trial", provider="own_ca", own_ca={**made, "ca_create": True}, trust=trust)
    assert "BEGIN ENCRYPTED PRIVATE KEY" in (folder / "ca.key").read_text()
    vault = ["ansible-vault", "encrypt", "--vault-password-file", str(secret), str(folder / "ca.key")]
    subprocess.run(vault, check=True, capture_output=True)
    words = ["--vault-password-file", str(secret)]
    return {"provider": "own_ca", "own_ca": made, "trust": trust, "renew_before": 80, "words": words}


def pem_in_any_order(outside, _folder):
    """An encrypted key, and the chain upside down."""
    root, intermediate = outside
    leaf = certify(NAME, ec_key(), intermediate, [NAME])
    pem = {"private_key": leaf.encrypted_key("secret"), "passphrase": "secret"}
    return {"provider": "pem", "pem": {**pem, "certificate": root.pem + intermediate.pem + leaf.pem}}


def pem_on_the_node(outside, _folder):
    root, intermediate = outside
    leaf = certify(NAME, rsa_key(2048), intermediate, [NAME])
    sh("node1", "umask 077; cat > /root/key.pem", leaf.key_pem)
    sh("node1", "cat > /root/chain.pem", leaf.pem + intermediate.pem + root.pem)
    return {"provider": "pem", "pem": {"private_key": "/root/key.pem", "certificate": "/root/chain.pem"}}


def archive(outside, _folder):
    root, intermediate = outside
    leaf = certify(NAME, ec_key(), intermediate, [NAME])
    how = serialization.BestAvailableEncryption(b"secret")
    above = [intermediate.certificate, root.certificate]
    data = pkcs12.serialize_key_and_certificates(b"mail", leaf.key, leaf.certificate, above, how)
    return {
        "provider": "pkcs12",
        "pkcs12": {"archive": base64.b64encode(data).decode(), "passphrase": "secret"},
    }
