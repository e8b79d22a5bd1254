# SPDX-License-Identifier: GPL-3.0-or-later
"""A good chain of each kind of key is served, and a neighbour's Postfix verifies it, whether cryptography can read it or not."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448
from mail import NODES, fqdn
from on_node import sh
from pki import authority, certify, ec_key, ed_key, rsa_key
from sources import FLEET_CA, NAMES
from tasks import ansible, cert, refused, results

testinfra_hosts = ["local://"]
pytestmark = [pytest.mark.usefixtures("fleet"), pytest.mark.sampled("kinds")]
NAME = fqdn("node1")


def verdict(root):
    """What posttls-finger says on a neighbour that trusts this root alone."""
    sh("node2", "cat > /root/some-root.pem", root)
    return sh(
        "node2",
        "chain=$(postconf -hx smtp_tls_chain_files); posttls-finger -c -l secure -k $chain -K $chain -F /root/some-root.pem "
        f"'[{NODES['node1']}]' {NAME} 2>&1",
        check=False,
    )


def serve(key, chain, **over):
    pem = {"private_key": key, "certificate": chain}
    return cert("node1", **{"name": "trial", "provider": "pem", "pem": pem, "use": ["server"], **over})


KINDS = {
    "ecdsa": ec_key,
    "rsa": lambda: rsa_key(2048),
    "ed25519": ed_key,
    "ed448": lambda: ed_key(ed448.Ed448PrivateKey),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_of_one_kind_throughout_is_served_and_verified(kind):
    root = authority("Some root", key=KINDS[kind]())
    middle = authority("Middle", root, key=KINDS[kind]())
    leaf = certify(NAME, KINDS[kind](), middle, [NAME])
    made = serve(leaf.key_pem, leaf.pem + middle.pem + root.pem)
    assert made["certificate"]["key_type"] == kind
    assert "Verified TLS connection established" in verdict(root.pem)
    assert not serve(leaf.key_pem, leaf.pem + middle.pem + root.pem)["changed"]


@pytest.mark.parametrize("ca_kind", [ec_key, ed_key])
def test_an_ed25519_key_is_made_here_and_signed_by_a_ca_of_either_kind(tmp_path, ca_kind):
    root = authority("Some root", key=ca_kind(), end=20)
    (tmp_path / "ca.pem").write_text(root.pem)
    (tmp_path / "ca.key").write_text(root.key_pem)
    paths = {"ca_certificate": str(tmp_path / "ca.pem"), "ca_private_key": str(tmp_path / "ca.key")}
    task = {
        "name": "trial",
        "provider": "own_ca",
        "own_ca": {**paths, **NAMES, "key_type": "ed25519"},
        "use": ["server"],
    }
    task["trust"] = {"authorities": [FLEET_CA["ca_certificate"]]}
    made = cert("node1", **task)
    assert made["certificate"]["key_type"] == "ed25519" and made["certificate"]["days_left"] == 19
    assert "Verified TLS connection established" in verdict(root.pem)
    again = ansible("node1", "smtp_tls_cert", task)
    assert "SUCCESS" in again.stdout, "a CA that ends before renew_before has nothing better to give"
    assert '"changed": false' in again.stdout
    assert "ends with its CA" in " ".join((again.stdout + again.stderr).split())


POST_QUANTUM = f"""
set -e
rm -rf /root/pq; mkdir -m 700 /root/pq; cd /root/pq
openssl req -x509 -newkey mldsa65 -nodes -keyout root.key -out root.pem -days 30 -subj '/CN=Some root' \\
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign
openssl req -new -newkey mldsa65 -nodes -keyout leaf.key -out leaf.csr -subj /CN={NAME} -addext subjectAltName=DNS:{NAME}
openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -copy_extensions copyall -days 20 -out leaf.pem
cat root.pem >> leaf.pem
openssl genpkey -algorithm mldsa65 -out other.key
"""


@pytest.fixture
def post_quantum():
    """Options of an ML-DSA chain that OpenSSL made on the node, and its root."""
    if "ML-DSA-65" not in sh("node1", "openssl list -public-key-algorithms"):
        pytest.skip("OpenSSL on this node knows no ML-DSA (3.5 does)")
    sh("node1", POST_QUANTUM)
    return "/root/pq/leaf.key", "/root/pq/leaf.pem", sh("node1", "cat /root/pq/root.pem")


def test_a_post_quantum_chain_is_served_and_verified(post_quantum):
    key, chain, root = post_quantum
    made = serve(key, chain)
    assert made["certificate"]["key_type"] == "mldsa65"
    assert made["certificate"]["subject_alternative_names"] == [NAME]
    assert "Verified TLS connection established" in verdict(root)
    shown = sh("node2", f"posttls-finger -c -C -d sha256 -l may '[{NODES['node1']}]' 2>&1", check=False)
    assert re.search(f"pkey.fingerprint={made['certificate']['public_key_sha256']}", shown), shown
    assert not serve(key, chain)["changed"]


def test_a_post_quantum_chain_that_lies_there_is_described_and_left_alone(post_quantum):
    sh("node1", "cat /root/pq/leaf.key /root/pq/leaf.pem > /etc/postfix/mx.pem; chmod 600 /etc/postfix/mx.pem")
    sh("node1", "postconf -e smtpd_tls_chain_files=/etc/postfix/mx.pem && postfix reload")
    told = results("node1", "smtp_tls_info", {})["node1"]["active"]["server"]
    assert [(found["key_type"], found["subject"], found["file"]) for found in told] == [
        ("mldsa65", f"CN={NAME}", "/etc/postfix/mx.pem")
    ]
    mode = results("node1", "smtp_tls_mode", {"server": {"minimum_protocol": "TLSv1.2"}, "allow_weaker": True})["node1"]
    assert mode["changed"] and "msg" not in mode
    assert "mx.pem" in sh("node1", "postconf -hx smtpd_tls_chain_files")


def test_another_post_quantum_key_is_refused(post_quantum):
    _key, chain, _root = post_quantum
    pem = {"private_key": "/root/pq/other.key", "certificate": chain}
    said = refused("node1", name="trial", provider="pem", pem=pem, use=["server"])
    assert "OpenSSL on this node cannot read the private key, or it does not match the certificate" in said
