# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet's own CA, on the controller: read, made, and used to sign. Its key never leaves it."""

from __future__ import annotations

import datetime
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.authority import (
    forbidden,
    unable_to_sign,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    order,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    is_ca,
    public_key_fingerprint,
)
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
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Options
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import PEM_MARK
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._controller_files import ControllerFiles

if TYPE_CHECKING:
    from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.kinds import (
        Certificate,
        PrivateKey,
    )

CA_DAYS = 3650


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
                f"does not cover {name}, as which the node is to be known",
                "list its domain, or give the node other names in own_ca.names",
            )


Asked = Sequence[Tuple[str, Options]]
"""CAs that a task names: the option that describes each, and what stands in it."""


def options_of(option: str, given: Options) -> Asked:
    """A CA and the one that will follow it."""
    following = given.get("next_ca")
    return [(option, given), *([(f"{option}.next_ca", dict(following))] if following else [])]


def check_given(option: str, values: Options, *names: str) -> None:
    for name in names:
        if not isinstance(values.get(name), str) or not values[name]:
            raise CertificateError(f"{option}.{name}: is missing; give it as a path on the controller or as content.")


def known(files: ControllerFiles, asked: Asked) -> List[Certificate]:
    """The certificates of those that are there."""
    return [
        certificate
        for option, given in asked
        if files.is_there(f"{option}.ca_certificate", given["ca_certificate"])
        for certificate in files.certificates(f"{option}.ca_certificate", [given["ca_certificate"]])
    ]


class Provided(NamedTuple):
    """A CA on the controller."""

    is_there: bool
    made: bool
    """By this task, or in check mode, it would be."""
    certificate: str
    key: str
    """Where they lie."""


def provide(files: ControllerFiles, option: str, given: Options, check_mode: bool) -> Provided:
    """The CA that a task describes, made where there is none."""
    names = [f"{option}.{name}" for name in ("ca_certificate", "ca_private_key")]
    values = [given["ca_certificate"], given["ca_private_key"]]
    if any(PEM_MARK in value for value in values):
        return Provided(True, False, *map(files.shown, names, values))
    there = all(map(files.is_there, names, values))
    certificate, key = map(files.place if there else files.new_place, names, values)
    if there or check_mode:
        return Provided(there, not there, certificate, key)
    made = create_if_missing(certificate, key, given.get("ca_passphrase"))
    return Provided(True, made, certificate, key)


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
        certificate = make_ca(_name_for(key, utc_now()), key, CA_DAYS, utc_now())
        _write(certificate_path, certificates_pem([certificate]), 0o644)
        _write(key_path, write_key(key, passphrase), 0o600)
        return True
    finally:
        os.close(descriptor)


def _name_for(key: PrivateKey, now: datetime.datetime) -> str:
    """A name that no other CA has: two of one name cannot be told apart where both are trusted."""
    digest = public_key_fingerprint(key.public_key()).replace(":", "")
    return f"SMTP fleet CA {now:%Y-%m-%d} {digest[:8]}"


def _write(path: str, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
