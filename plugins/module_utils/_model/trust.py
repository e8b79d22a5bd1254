# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom a node trusts: CAs, the system's among them or not, and the public keys of single peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from .._edge import Options
from . import words


@dataclass(frozen=True)
class TrustWish:
    """What a task asks; C(None) leaves it as it is."""

    authorities: Optional[Tuple[bytes, ...]] = None
    """CA certificates in PEM: the fleet's own, the one that will follow it, and others."""
    system: Optional[Tuple[str, ...]] = None
    """For which side the CAs of the operating system are trusted as well."""
    pins: Optional[Tuple[str, ...]] = None
    """SHA-256 of the public keys of peers, in Postfix's format; an empty list lifts the demand."""


NOTHING = TrustWish()


def read_trust(given: Options, brought: Sequence[bytes]) -> TrustWish:
    """The suboption C(trust), and the CAs, in PEM, that the certificate's provider has ``brought``."""
    authorities = (*brought, *(pem.encode() for pem in given.get("authorities") or () if pem))
    pins = given.get("pins")
    return TrustWish(
        authorities=authorities or None,
        system=None if given.get("system") is None else tuple(given["system"]),
        pins=None if pins is None else tuple(words.fingerprint("trust.pins", pin) for pin in pins),
    )
