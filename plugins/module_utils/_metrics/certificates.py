# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificates are in use, and how long they last. Keys are not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Sequence, Set, Tuple

from .._certificates.chain import certificates_by_key
from .._certificates.keys import describe_public_key, public_key_of
from .._certificates.validity import not_after
from .._postfix import sni, store
from .._postfix.services import is_client
from .._postfix.state import State
from .._postfix.tables import parse_table
from . import files
from .instance import enabled
from .output import Metrics
from .policies import client_policy, server_policy

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate

try:
    from cryptography.x509.oid import NameOID
except ImportError:  # pragma: no cover - nothing of this is called then
    pass

MOST = 500
"""Chains that are told: those that expire first."""
DAY = 86400
_CA_FILE = {"server": "smtpd_tls_CAfile", "client": "smtp_tls_CAfile"}


class InUse(NamedTuple):
    """A chain that is shown, or a CA that peers are verified with."""

    use: str
    name: str
    key_type: str
    subject: str
    not_after: float


def certificates(state: State) -> List[InUse]:
    """Every chain that is shown, and the store's CAs that peers are verified with. OSError, ValueError or a sentence where one
    cannot be read."""
    return sorted({one for use, source in _files_in_use(state) for one in _read(state, use, source)})


def tell_certificates(chains: Sequence[InUse], now: float, metrics: Metrics) -> None:
    first = sorted(chains, key=lambda chain: chain.not_after)[:MOST]
    for chain in reversed(first):  # of two with the same labels, the one that expires first is told
        labels = {"use": chain.use, "certificate": chain.name, "key_type": chain.key_type, "subject": chain.subject}
        metrics.add("certificate_not_after_timestamp_seconds", chain.not_after, **labels)
        metrics.add("certificate_days_left", (chain.not_after - now) / DAY, **labels)


def _files_in_use(state: State) -> Set[Tuple[str, store.Source]]:
    found: Set[Tuple[str, store.Source]] = set()
    for service in [None, *enabled(state)]:
        seen = state.seen_by(service)
        if (not service or service.is_server) and server_policy(state, service).level != "none":
            found.update(_of_side(seen, "server"))
            found.update(("server", store.Source((path,))) for path in _served_by_name(seen))
        if (not service or is_client(service)) and client_policy(state, service).level != "none":
            found.update(_of_side(seen, "client"))
    return found


def _of_side(state: State, use: str) -> Iterator[Tuple[str, store.Source]]:
    yield from ((use, source) for source in store.active_sources(state, use))
    ca_file = state.effective[_CA_FILE[use]]
    if store.trust_kind(state, ca_file) == store.TRUST:
        yield "trust", store.Source((ca_file,))


def _served_by_name(state: State) -> Iterator[str]:
    """The chain files of our table for host names."""
    table = sni.current(state)
    yield from parse_table(files.read(table)).values() if table else ()


def _read(state: State, use: str, source: store.Source) -> Iterator[InUse]:
    """A chain begins after each key; without keys there is one, or a set of CAs."""
    chains = certificates_by_key([(path, files.read(path)) for path in source.certificate_paths])
    if use == "trust":
        chains = tuple((path, (certificate,)) for path, chain in chains for certificate in chain)
    for path, chain in chains:
        moment = min(not_after(certificate).timestamp() for certificate in chain)
        yield InUse(use, _name(state, path), _key_type(chain[0]), _subject(chain[0]), moment)


def _name(state: State, path: str) -> str:
    """The name in the store, or the path of a file elsewhere."""
    return store.stored_name(state, path) or store.trust_kind(state, path) or path


def _key_type(certificate: Certificate) -> str:
    """One that the library does not know is as good for Postfix."""
    try:
        kind, _size = describe_public_key(public_key_of(certificate))
    except (ValueError, IndexError):
        return "other"
    return kind if kind in ("rsa", "ecdsa") else "other"


def _subject(certificate: Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()
