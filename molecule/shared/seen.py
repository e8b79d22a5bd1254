# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that OpenSSL's client is shown."""

import re

from cryptography import x509
from mail import s_client
from pki import Identity


def seen_by_openssl(node, *options):
    shown = s_client(node, *options).stdout
    pem = re.search("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", shown, re.DOTALL).group()
    return Identity(None, x509.load_pem_x509_certificate(pem.encode())).sha256


def certificate_seen(node, key_type=None):
    signatures = {"ecdsa": ["-sigalgs", "ECDSA+SHA256"], "rsa": ["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"]}
    return seen_by_openssl(node, *signatures.get(key_type, []))
