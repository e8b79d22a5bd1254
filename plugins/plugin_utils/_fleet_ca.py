# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet's own CA, on the controller: read, made, and used to sign. Its key never leaves it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.authority import (
    forbidden,
    unable_to_sign,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    order,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import is_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    sign_request,
    split_requests,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    belong_together,
    make_key,
    read_key,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.shown import name_text
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue

if TYPE_CHECKING:
    from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.kinds import (
        Certificate,
        PrivateKey,
    )

CA_DAYS = 3650
CA_NAME = "SMTP fleet CA"


@dataclass(frozen=True)
class FleetCA:
    """The issuing certificate first, then those above it; and the key of the first."""

    certificates: Sequence[Certificate]
    key: PrivateKey

    def sign(self, csr_pem: str, names: Sequence[str], days: int) -> str:
        """A certificate for the key in each request, in PEM; the node adds the CA's intermediates."""
        spec = CertificateSpec(tuple(names), days)
        refused = list(dict.fromkeys(forbidden(self.certificates, names)))
        if refused:
            raise CertificateError(
                f"own_ca.ca_certificate: the CA {name_text(self.certificates[0].subject)} may not sign for {', '.join(refused)} "
                "by its name constraints; give names that they allow in own_ca.names, or another CA."
            )
        leaves = [
            sign_request(request, spec, self.certificates[0], self.key, utc_now(), above=self.certificates[1:])
            for request in split_requests(csr_pem.encode())
        ]
        return certificates_pem(leaves).decode()


def load(certificate_pem: str, key_pem: str, passphrase: Optional[str]) -> FleetCA:
    """A CA that can sign: its key fits its certificate, and whoever trusts it takes what it signs."""
    first, *others = read_certificates("own_ca.ca_certificate", certificate_pem.encode())
    key = read_key("own_ca.ca_private_key", key_pem.encode(), passphrase)
    if not belong_together(key, first):
        raise CertificateError(
            "own_ca.ca_private_key: does not match the first certificate in own_ca.ca_certificate; give the pair that belongs together."
        )
    if not is_ca(first):
        raise CertificateError(
            "own_ca.ca_certificate: the first certificate is not a CA's; give the one that may sign others."
        )
    certificates = order(first, others)
    problems = list(unable_to_sign(certificates, utc_now()))
    if problems:
        raise CertificateError(
            f"own_ca.ca_certificate: {'; '.join(problems)}; give one that is valid, and trust both meanwhile."
        )
    return FleetCA(certificates, key)


def check_domains(names: Sequence[str], domains: Optional[Sequence[str]]) -> None:
    """Refuse to sign for a name outside of these domains."""
    for name in names:
        if domains is not None and not any(f".{name.lower()}".endswith(f".{d.lower().lstrip('.')}") for d in domains):
            raise InvalidValue(
                "own_ca.domains",
                list(domains),
                f"does not cover {name}, which the node asks for",
                "list its domain, or give the names in own_ca.names",
            )


def exists(certificate_path: str, key_path: str) -> bool:
    return os.path.exists(certificate_path) and os.path.exists(key_path)


def create_if_missing(certificate_path: str, key_path: str, passphrase: Optional[str]) -> bool:
    """Make a CA at these paths where neither file exists; one run makes it, the others wait.

    The key comes last and is complete from its first byte on, readable by its owner alone.
    """
    folder = os.path.dirname(os.path.abspath(key_path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.makedirs(os.path.dirname(os.path.abspath(certificate_path)), exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        there = [os.path.exists(path) for path in (certificate_path, key_path)]
        if all(there):
            return False
        if any(there):
            raise InvalidValue(
                "own_ca.ca_create",
                True,
                f"finds only one of {certificate_path} and {key_path}",
                "put the missing one back, or remove the other to start with a new CA",
            )
        key = make_key(KeySpec("ecdsa", 256))
        certificate = make_ca(CA_NAME, key, CA_DAYS, utc_now())
        _write(certificate_path, certificates_pem([certificate]), 0o644)
        _write(key_path, write_key(key, passphrase), 0o600)
        return True
    finally:
        os.close(descriptor)


def _write(path: str, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
