# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate must be before a profile that verifies peers may rely on it."""

from __future__ import annotations

import datetime
from typing import Any, Iterator, Sequence

from .chain import is_issued_by, order
from .describe import dns_names, extended_key_usages, hash_name, not_after, not_before
from .keys import describe_public_key

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
PURPOSES = {"server": SERVER_AUTH, "client": CLIENT_AUTH}


def weaknesses(certificate: Any, now: datetime.datetime) -> Iterator[str]:
    """Why no peer should take this certificate, whoever issued it.

    Postfix itself takes RSA 1024 and certificates without a SAN at level secure, so these are
    checked here. Sources: RFC 9325 section 4.4 (RSA 2048), RFC 6125 section 6.4 (SAN).
    """
    if not_after(certificate) <= now:
        yield f"expired on {not_after(certificate):%Y-%m-%d}"
    if not_before(certificate) > now:
        yield f"is not valid before {not_before(certificate):%Y-%m-%d}"
    kind, bits = describe_public_key(certificate.public_key())
    if kind == "rsa" and bits < 2048:
        yield f"has an RSA key of {bits} bits, fewer than 2048"
    if hash_name(certificate) in ("md5", "sha1"):
        yield f"is signed with {hash_name(certificate).upper()}"
    if not dns_names(certificate):
        yield "names no host in its SAN"


def unfit_for_agents(
    chain: Sequence[Any], host: str, use: str, authorities: Sequence[Any], now: datetime.datetime
) -> Iterator[str]:
    """Why agents under the same strict rules would refuse this chain (leaf first) of ``host``."""
    certificate = chain[0]
    if is_issued_by(certificate, certificate):
        yield "is self-signed"
    yield from weaknesses(certificate, now)
    names = dns_names(certificate)
    if names and not covers(names, host):
        yield f"names {', '.join(names)} and not this host, {host}"
    usages = extended_key_usages(certificate)
    if usages is not None and PURPOSES[use] not in usages:
        yield f"is not allowed as a {use} certificate by its extended key usage"
    last = order(certificate, chain[1:])[-1]
    if not any(is_issued_by(last, ca) for ca in authorities):
        yield "is not issued by a CA in ca_file"


def covers(names: Sequence[str], host: str) -> bool:
    """Whether one of ``names`` is ``host``, or a wildcard for its first label (RFC 6125 section 6.4.3)."""
    host = host.lower()
    return any(n.lower() == host or (n.startswith("*.") and n[2:].lower() == host.partition(".")[2]) for n in names)
