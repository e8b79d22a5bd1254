# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of keys and certificates for annotations alone: python3-cryptography 3.3.2 has none for all kinds of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import types

    from .opaque import OpaqueKey, OpaquePublicKey

    Certificate = x509.Certificate
    Named = Union[x509.Certificate, x509.CertificateSigningRequest]
    """What may carry names."""
    PrivateKey = types.CertificateIssuerPrivateKeyTypes
    """One that can sign."""
    AnyPrivateKey = types.PrivateKeyTypes
    """One that a node may have, whatever for."""
    PublicKey = types.CertificatePublicKeyTypes
    AnyPublicKey = types.PublicKeyTypes
    ServedKey = Union[types.PrivateKeyTypes, OpaqueKey]
    """One that Postfix serves, whether cryptography can read it or not."""
    ShownKey = Union[types.PublicKeyTypes, OpaquePublicKey]
    """The same of public keys."""
