# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PKCS#12 archives (RFC 7292): a key, its certificate and the certificates above it, under one passphrase."""

from __future__ import annotations

from typing import Optional

from .._errors import CertificateError
from .chain import Chains, build_chains
from .keys import able_to_sign

try:
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives.serialization import pkcs12
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass


def read_archive(option: str, data: bytes, passphrase: Optional[str]) -> Chains:
    """The chain in a PKCS#12 archive; the error never repeats what was read."""
    secret = passphrase.encode() if passphrase else None
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, secret, default_backend())
    except Exception:  # cryptography raises ValueError and others, by version; a wrong passphrase is one of many
        remedy = (
            "give its passphrase, if this is PKCS#12 at all"
            if secret is None
            else "the passphrase is wrong, or this is no PKCS#12"
        )
        raise CertificateError(f"{option}.archive: cannot be opened; {remedy}.") from None
    if key is None:
        raise CertificateError(f"{option}.archive: holds no private key; export it again with the key.")
    if certificate is None and not others:
        raise CertificateError(f"{option}.archive: holds no certificate; export it again with the certificate.")
    return build_chains(
        option, [able_to_sign(f"{option}.archive", key)], [*([certificate] if certificate else []), *others]
    )
