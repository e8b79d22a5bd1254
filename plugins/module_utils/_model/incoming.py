# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What mail from one domain must show before it is let in: pure data, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

from .._edge import Options
from .._errors import InvalidValue
from . import words
from .levels import ClientCertificates, Ordered, ServerLevel


class Demand(Ordered):
    """What a sender has to show, the least first."""

    NOTHING = "nothing"
    ENCRYPT = "encrypt"
    CERTIFICATE = "certificate"
    PINS = "pins"


class Unlisted(Ordered):
    """What becomes of mail from domains that no record lets in."""

    ACCEPT = "accept"
    WARN = "warn"
    REJECT = "reject"


@dataclass(frozen=True)
class Incoming:
    """The demands on mail whose envelope sender is in a domain, or below it."""

    level: ServerLevel
    client_certificates: ClientCertificates = ClientCertificates.IGNORE
    pins: Tuple[str, ...] = ()
    """SHA-256 fingerprints of certificates or public keys, one of which the client must show."""

    @property
    def demand(self) -> Demand:
        if self.pins:
            return Demand.PINS
        if self.client_certificates is ClientCertificates.REQUIRE:
            return Demand.CERTIFICATE
        return Demand.ENCRYPT if self.level is ServerLevel.ENCRYPT else Demand.NOTHING

    def as_facts(self) -> Dict[str, object]:
        return {
            "level": self.level.value,
            "client_certificates": self.client_certificates.value,
            "pins": list(self.pins),
        }


def read_incoming(option: str, given: Options) -> Incoming:
    """The suboption ``incoming`` of a record."""
    pins = tuple(words.fingerprint(f"{option}.pins", pin) for pin in given.get("pins") or ())
    asked = given.get("client_certificates")
    default = ClientCertificates.REQUIRE if pins else ClientCertificates.IGNORE
    certificates = ClientCertificates.read(f"{option}.client_certificates", asked) if asked else default
    level = ServerLevel.read(f"{option}.level", given.get("level") or ServerLevel.ENCRYPT)
    if certificates is ClientCertificates.REQUEST or (pins and certificates is ClientCertificates.IGNORE):
        raise InvalidValue(
            f"{option}.client_certificates",
            certificates.value,
            "demands nothing" if not pins else "contradicts the pins beside it",
            "use require, or leave it out",
        )
    if certificates is ClientCertificates.REQUIRE and level is not ServerLevel.ENCRYPT:
        raise InvalidValue(
            f"{option}.level", level.value, "lets mail in without the certificate that is required", "use encrypt"
        )
    return Incoming(level, certificates, pins)
