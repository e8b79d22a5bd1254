# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a CA may sign at all, and for whom, as those will ask who verify what it has signed (RFC 5280 section 6.1)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Iterator, Optional, Sequence

from .chain import extension
from .describe import is_ca, may_certify
from .shown import name_text
from .validity import not_after, not_before

if TYPE_CHECKING:
    from .kinds import Certificate

try:
    from cryptography import x509
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass


def unable_to_sign(authorities: Sequence[Certificate], now: datetime.datetime) -> Iterator[str]:
    """Why nobody would take what the first of these CAs signs; each of the others has issued the one before it."""
    for beneath, ca in enumerate(authorities):
        whose = f" above it, {name_text(ca.subject)}," if beneath else ""
        yield from (f"the CA{whose} {problem}" for problem in _problems(ca, beneath, now))


def _problems(ca: Certificate, beneath: int, now: datetime.datetime) -> Iterator[str]:
    if not is_ca(ca):
        yield "is not a CA's certificate"
    if not may_certify(ca):
        yield "may not sign certificates by its key usage"
    if not_after(ca) <= now:
        yield "has expired"
    if not_before(ca) > now:
        yield f"is not valid before {not_before(ca):%Y-%m-%d}"
    constraints = extension(ca, x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None and constraints.path_length < beneath:
        yield f"allows {constraints.path_length} CAs beneath it and has {beneath}"


def forbidden(authorities: Sequence[Certificate], names: Sequence[str]) -> Iterator[str]:
    """The names for which these CAs may not sign by their name constraints (RFC 5280 section 4.2.1.10)."""
    for ca in authorities:
        constraints = extension(ca, x509.NameConstraints)
        if constraints is None:
            continue
        permitted, excluded = _domains(constraints.permitted_subtrees), _domains(constraints.excluded_subtrees)
        yield from (n for n in names if (permitted and not _within(n, permitted)) or _within(n, excluded))


def _domains(subtrees: Optional[Sequence[x509.GeneralName]]) -> Sequence[str]:
    return [tree.value.lower() for tree in subtrees or () if isinstance(tree, x509.DNSName)]


def _within(name: str, domains: Sequence[str]) -> bool:
    """Whether ``name`` is one of ``domains`` or below it; with a leading dot, as OpenSSL reads that, below it only."""
    name = name.lower()
    return any(not d or name == d or name.endswith(d if d.startswith(".") else f".{d}") for d in domains)
