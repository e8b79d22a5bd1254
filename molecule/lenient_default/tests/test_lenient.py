# SPDX-License-Identifier: GPL-3.0-or-later
"""A lenient node delivers always and encrypts where the peer can."""

import smtplib
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mail import NODES, certificate, probe, s_client, swaks
from on_node import begin_anew
from pki import authority, certify, ec_key
from tasks import cert, playbook

DELIVERED = " 250 2.0.0 Ok: queued as"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="plaintext"),
        pytest.param(["--tls", "--tls-protocol", "tlsv1_2", "--tls-cipher", "ECDHE"], id="tls-1.2"),
        pytest.param(["--tls", "--tls-protocol", "tlsv1_3"], id="tls-1.3"),
    ],
)
def test_a_client_delivers(node, options):
    done = swaks(node, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert DELIVERED in done.stdout


def test_a_client_delivers_over_an_anonymous_cipher(node):
    """By Python's smtplib: swaks insists on seeing a certificate, which such a cipher does without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    with smtplib.SMTP(NODES[node]) as client:
        client.starttls(context=context)
        assert client.sock.cipher()[0].startswith(("ADH-", "AECDH-"))
        assert client.sock.getpeercert(binary_form=True) is None
        assert client.sendmail("somebody@elsewhere.test", probe(node), "Subject: test\n\ntest\n") == {}


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_an_old_protocol_is_refused(node, version):
    done = s_client(node, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in done.stdout
    assert done.returncode != 0


def test_the_certificate_is_a_self_signed_rsa_4096_with_sha256(node):
    shown = certificate(node)
    assert isinstance(shown.public_key(), rsa.RSAPublicKey)
    assert shown.public_key().key_size == 4096
    assert shown.signature_hash_algorithm.name == "sha256"
    assert shown.issuer == shown.subject
    shown.verify_directly_issued_by(shown)


def test_no_client_certificate_is_asked_for(node):
    assert "Requested Signature Algorithms" not in s_client(node).stdout


def test_the_key_is_readable_by_root_alone(host):
    chain = host.file(host.check_output("postconf -h smtpd_tls_chain_files"))
    assert (chain.user, chain.group, chain.mode) == ("root", "root", 0o600)
    assert host.file("/etc/postfix/smtp_hardening/certificates").mode == 0o700


def test_a_certificate_of_a_ca_that_is_shown_already_stays():
    begin_anew("node3")
    key, ca = ec_key(), authority("a CA")
    public = certify("node3.fleet.test", key, ca, ["node3.fleet.test"])
    pem = {"private_key": public.key_pem, "certificate": public.pem + ca.pem}
    cert("node3", name="public", provider="pem", pem=pem, use=["server"])
    playbook("harden", "--limit", "node3", "-e", "smtp_profile=lenient_default")
    assert certificate("node3").public_key() == key.public_key()
