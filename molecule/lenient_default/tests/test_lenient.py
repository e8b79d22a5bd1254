# SPDX-License-Identifier: GPL-3.0-or-later
"""A lenient node delivers always and encrypts where the peer can."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mail import certificate, s_client, swaks

DELIVERED = " 250 2.0.0 Ok: queued as"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="plaintext"),
        pytest.param(["--tls", "--tls-protocol", "tlsv1_2"], id="tls-1.2"),
        pytest.param(["--tls", "--tls-protocol", "tlsv1_3"], id="tls-1.3"),
        pytest.param(
            ["--tls", "--tls-protocol", "tlsv1_2", "--tls-cipher", "aNULL:@SECLEVEL=0"], id="anonymous-cipher"
        ),
    ],
)
def test_a_client_delivers(node, options):
    done = swaks(node, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert DELIVERED in done.stdout


def test_an_anonymous_cipher_is_really_negotiated(node):
    done = s_client(node, "-tls1_2", "-cipher", "aNULL:@SECLEVEL=0")
    assert "Cipher is ADH-" in done.stdout or "Cipher is AECDH-" in done.stdout


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
