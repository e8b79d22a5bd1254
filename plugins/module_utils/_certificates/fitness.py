# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate must be before peers may rely on it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Collection, Iterator, NamedTuple, Sequence

from .chain import is_issued_by, order
from .describe import dns_names, extended_key_usages, hash_name, is_ca, may_certify, may_sign
from .keys import describe_public_key, public_key_of
from .shown import name_text, shown
from .validity import not_after, not_before

if TYPE_CHECKING:
    from .kinds import Certificate

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
PURPOSES = {"server": SERVER_AUTH, "client": CLIENT_AUTH}

FLAWS = (
    "expired",
    "not_yet_valid",
    "weak_key",
    "weak_signature",
    "no_san",
    "other_host",
    "wrong_usage",
    "incomplete_chain",
    "beyond_constraints",
    "refused_by_openssl",
)
"""What can be wrong with a certificate that Postfix would use all the same; an operator may accept each by name."""


class Flaw(NamedTuple):
    kind: str
    """One of FLAWS."""
    sentence: str
    """What the certificate does, as in C(expired on 2026-01-01)."""


def flaws(
    chain: Sequence[Certificate],
    hosts: Sequence[str],
    uses: Collection[str],
    authorities: Sequence[Certificate],
    now: datetime.datetime,
) -> Iterator[Flaw]:
    """Why peers would not take this chain (leaf first) for ``hosts``. ``authorities`` are the CAs known here."""
    leaf = chain[0]
    yield from weaknesses(leaf, now)
    names = dns_names(leaf)
    missed = [host for host in hosts if names and not covers(names, host)]
    if missed:
        yield Flaw("other_host", f"names {_listed(names)} and not {' or '.join(missed)}")
    yield from _wrong_usages(leaf, uses)
    yield from _chain_flaws(chain, authorities, now)


def weaknesses(certificate: Certificate, now: datetime.datetime) -> Iterator[Flaw]:
    """Why no peer should take this certificate, whoever issued it.

    Postfix itself takes RSA 1024 and certificates without a SAN at level secure, so these are
    checked here. Sources: RFC 9325 section 4.4 (RSA 2048), RFC 6125 section 6.4 (SAN).
    """
    yield from _aged_or_weak(certificate, now)
    if not dns_names(certificate):
        yield Flaw("no_san", "names no host in its SAN")


def _aged_or_weak(certificate: Certificate, now: datetime.datetime) -> Iterator[Flaw]:
    """What neither a leaf nor an intermediate may be. Nobody looks at the signature that a root has of itself."""
    if not_after(certificate) <= now:
        yield Flaw("expired", f"expired on {not_after(certificate):%Y-%m-%d}")
    if not_before(certificate) > now:
        yield Flaw("not_yet_valid", f"is not valid before {not_before(certificate):%Y-%m-%d}")
    kind, bits = describe_public_key(public_key_of(certificate))
    if kind == "rsa" and 0 < bits < 2048:
        yield Flaw("weak_key", f"has an RSA key of {bits} bits, fewer than 2048")
    if hash_name(certificate) in ("md5", "sha1") and not (
        is_ca(certificate) and is_issued_by(certificate, certificate)
    ):
        yield Flaw("weak_signature", f"is signed with {str(hash_name(certificate)).upper()}")


def _wrong_usages(certificate: Certificate, uses: Collection[str]) -> Iterator[Flaw]:
    allowed = extended_key_usages(certificate)
    for use in uses:
        if allowed is not None and PURPOSES[use] not in allowed:
            yield Flaw("wrong_usage", f"is not allowed as a {use} certificate by its extended key usage")
    if not may_sign(certificate):
        yield Flaw("wrong_usage", "may not sign by its key usage, which TLS 1.3 asks of it")


def _chain_flaws(
    chain: Sequence[Certificate], authorities: Sequence[Certificate], now: datetime.datetime
) -> Iterator[Flaw]:
    for ca in chain[1:]:
        name = name_text(ca.subject)
        own = _aged_or_weak(ca, now)
        yield from (Flaw(flaw.kind, f"has an intermediate, {name}, that {flaw.sentence}") for flaw in own)
        if not is_ca(ca):
            yield Flaw("wrong_usage", f"is issued by {name}, which is not a CA's certificate")
        elif not may_certify(ca):
            yield Flaw("wrong_usage", f"is issued by {name}, which may not sign certificates by its key usage")
    last = chain[-1]
    if not is_issued_by(last, last) and not any(is_issued_by(last, ca) for ca in authorities):
        yield Flaw(
            "incomplete_chain",
            f"lacks an intermediate: {name_text(last.issuer)} is neither given nor a CA that this node knows",
        )


def unfit_for_agents(
    chain: Sequence[Certificate], host: str, use: str, authorities: Sequence[Certificate], now: datetime.datetime
) -> Iterator[Flaw]:
    """Why agents under the same strict rules would refuse this chain (leaf first) of ``host``."""
    certificate = chain[0]
    if is_issued_by(certificate, certificate):
        yield Flaw("incomplete_chain", "is self-signed")
    yield from weaknesses(certificate, now)
    names = dns_names(certificate)
    if names and not covers(names, host):
        yield Flaw("other_host", f"names {_listed(names)} and not this host, {host}")
    yield from _wrong_usages(certificate, (use,))
    last = order(certificate, chain[1:])[-1]
    if not any(is_issued_by(last, ca) for ca in authorities if not_after(ca) > now):
        yield Flaw("incomplete_chain", "is not issued by a CA in ca_file that is valid")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names))


def covers(names: Sequence[str], host: str) -> bool:
    """Whether one of ``names`` is ``host``, or a wildcard for its first label (RFC 6125 section 6.4.3)."""
    host = host.lower()
    return any(n.lower() == host or (n.startswith("*.") and n[2:].lower() == host.partition(".")[2]) for n in names)
