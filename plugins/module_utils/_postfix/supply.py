# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a certificate comes from: why the stored one will not do, and what each provider brings instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from .. import _files as files
from .._certificates import tlsa
from .._certificates.archive import read_archive
from .._certificates.chain import (
    Chain,
    Chains,
    build_chains,
    is_issued_by,
    order,
    read_certificates,
    read_chains,
)
from .._certificates.describe import dns_names
from .._certificates.issue import last_day, request, requested_names, self_sign
from .._certificates.keys import able_to_sign, make_key, public_bytes, public_key_of, read_keys
from .._certificates.opaque import OpaqueKey
from .._certificates.validity import not_after, utc_now
from .._errors import InvalidValue, present
from .._model.certificates import MADE_HERE, CertificateWish
from . import store, trust
from .state import State

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate, PrivateKey, ServedKey

SIGNATURE, ANNOUNCEMENT = "signature", "announcement"


@dataclass(frozen=True)
class Next:
    """Keys that are made and not served yet, with the request for each in PEM."""

    keys: Tuple[PrivateKey, ...]
    request: bytes


@dataclass(frozen=True)
class Supply:
    """What a provider brings, or what it waits for."""

    chains: Chains = ()
    awaits: Optional[str] = None
    """C(signature) by a CA, or C(announcement) of a TLSA record."""
    next: Optional[Next] = None
    """What is kept meanwhile."""


def why_not_stored(state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
    """Why the stored certificate is not what the task asks for; ``None`` where it is."""
    reason = _REASONS[wish.provider](state, wish, stored)
    return reason or (_age(stored, wish) if wish.provider in MADE_HERE else None)


def provide(state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
    """What comes in place of the stored certificate. In check mode no key is made, and the supply may be empty."""
    if wish.provider == "stored":
        there = [name for name in store.names(state) if store.current(state, name)]
        raise InvalidValue(
            "name",
            wish.name,
            "is not in the store",
            f"choose one of {', '.join(there) or 'none, since it is empty'}, or another provider",
        )
    if wish.provider not in MADE_HERE:
        return Supply(_given(state, wish))
    found = _next(state, wish, stored, check_mode)
    if found is None:
        return Supply((), SIGNATURE if wish.provider == "csr" else None)
    return _made_here(state, wish, stored, found)


def issuers_known(state: State, wish: CertificateWish) -> Tuple[Certificate, ...]:
    """All CA certificates by which a chain may be completed and judged."""
    asked = [
        found
        for pem in wish.trust.authorities or ()
        for found in read_certificates(
            "own_ca.ca_certificate" if pem == wish.ca_certificates else "trust.authorities", pem
        )
    ]
    return (*asked, *trust.known(state), *trust.known_to_system())


def next_kept(state: State, name: str) -> Optional[Next]:
    """The keys that the store keeps for later, with their requests."""
    key_path, request_path = store.next_key(state, name), store.next_request(state, name)
    if not files.exists(key_path):
        return None
    csr = store.read(request_path) if files.exists(request_path) else b""
    return Next(read_keys(key_path, store.read(key_path)), csr)


def _given(state: State, wish: CertificateWish) -> Chains:
    """Chains that exist already, with the intermediates that this node knows."""
    if wish.archive is not None:
        return _completed(state, wish, read_archive("pkcs12", wish.archive.data, wish.archive.passphrase))
    given = present(wish.material)
    chains = read_chains(wish.provider, given.private_key, given.certificate, given.passphrase)
    return _completed(state, wish, chains)


def _made_here(state: State, wish: CertificateWish, stored: Chains, found: Next) -> Supply:
    """What a CA, or the key itself, has signed; nothing is served that a published TLSA record forbids."""
    chains = _certified(state, wish, stored, found)
    if chains:
        return Supply(chains) if announced(wish, chains) else Supply((), ANNOUNCEMENT, found)
    return Supply((), SIGNATURE if _may_be_announced(wish, found.keys) else ANNOUNCEMENT, found)


def _certified(state: State, wish: CertificateWish, stored: Chains, found: Next) -> Chains:
    if wish.provider == "self_signed":
        spec = present(wish.spec)
        return tuple(Chain(key, (self_sign(spec, key, utc_now()),)) for key in found.keys)
    signed = _signed(wish, stored)
    return _completed(state, wish, build_chains(wish.provider, found.keys, signed)) if signed else ()


def announced(wish: CertificateWish, chains: Chains) -> bool:
    """Whether clients that look at the published TLSA records would take each of these chains."""
    return not wish.published_tlsa or all(
        tlsa.holds(wish.published_tlsa, public_key_of(c.leaf), c.certificates[1:], c.leaf) for c in chains
    )


def _may_be_announced(wish: CertificateWish, keys: Iterable[PrivateKey]) -> bool:
    """The same before a CA has signed for the keys. Which CAs will be sent along is known of our own alone."""
    if not wish.published_tlsa or (wish.provider == "csr" and any(r.usage == 2 for r in wish.published_tlsa)):
        return True
    known = read_certificates("own_ca.ca_certificate", wish.ca_certificates) if wish.ca_certificates else ()
    sent = [ca for ca in known if wish.send_root or not is_issued_by(ca, ca)]
    return all(tlsa.holds(wish.published_tlsa, key.public_key(), sent) for key in keys)


def _signed(wish: CertificateWish, stored: Chains) -> List[Certificate]:
    """What a CA has signed beyond the certificates that are stored already."""
    if wish.signed is None:
        return []
    known = [chain.leaf for chain in stored]
    found = read_certificates(f"{wish.provider}.certificate", wish.signed)
    return [] if any(certificate in known for certificate in found) else list(found)


def _next(state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Optional[Next]:
    """The keys to certify: the stored ones where they are to stay, those kept for it, or new ones."""
    kept = next_kept(state, wish.name)
    if kept is not None and not _fits(wish, kept.keys):
        kept = None
    own: Tuple[PrivateKey, ...] = ()
    if _fits(wish, [chain.key for chain in stored]):
        own = tuple(able_to_sign(wish.name, chain.key) for chain in stored)
    if own and (not wish.renew_key or _are_certified(own, _signed(wish, stored))):
        keys = own
    elif kept is not None:
        keys = kept.keys
    elif check_mode:
        return None
    else:
        keys = tuple(make_key(spec) for spec in wish.keys)
    names = present(wish.spec).names
    if (
        kept is not None
        and _public(kept.keys) == _public(keys)
        and requested_names(kept.request) == [names] * len(keys)
    ):
        return kept
    return Next(keys, b"".join(request(names, key) for key in keys))


def _are_certified(keys: Sequence[PrivateKey], certificates: Sequence[Certificate]) -> bool:
    """Whether there is a certificate for each of these keys."""
    return bool(keys) and set(_public(keys)) <= {public_bytes(public_key_of(c)) for c in certificates}


def _public(keys: Sequence[PrivateKey]) -> List[bytes]:
    return [public_bytes(key.public_key()) for key in keys]


def _fits(wish: CertificateWish, keys: Sequence[ServedKey]) -> bool:
    return len(keys) == len(wish.keys) and all(
        not isinstance(key, OpaqueKey) and spec.fits(key.public_key()) for spec, key in zip(wish.keys, keys)
    )


def _completed(state: State, wish: CertificateWish, chains: Chains) -> Chains:
    """Each chain with the intermediates that this node knows, and with the root where that is to be sent."""
    known = [ca for ca in issuers_known(state, wish) if wish.send_root or not is_issued_by(ca, ca)]
    return tuple(Chain(c.key, order(c.leaf, [*c.certificates[1:], *known])) for c in chains)


def _age(stored: Chains, wish: CertificateWish) -> Optional[str]:
    if wish.renew_now:
        return "renew_now is set"
    left = min((not_after(chain.leaf) - utc_now()).days for chain in stored)
    if left < wish.renew_before and (left < 0 or not ends_with_its_ca(wish, stored)):
        return f"the stored certificate has {left} days left, fewer than renew_before"
    return None


def ends_with_its_ca(wish: CertificateWish, chains: Chains) -> bool:
    """Whether no certificate of the fleet's CA would last longer than these: none outlives its CA."""
    if wish.ca_certificates is None or not chains:
        return False
    issuing, *others = read_certificates("own_ca.ca_certificate", wish.ca_certificates)
    return min(not_after(chain.leaf) for chain in chains) >= last_day(order(issuing, others))


def _self_signed_reason(_state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
    if not all(is_issued_by(chain.leaf, chain.leaf) for chain in stored):
        return "the stored certificate is not self-signed"
    return _made_here_reason(wish, stored, exactly=True)


def _own_ca_reason(_state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
    issuers = [read_certificates("own_ca.ca_certificate", present(wish.ca_certificates))[0]]
    if wish.next_ca_certificates:
        issuers.append(read_certificates("own_ca.next_ca.ca_certificate", wish.next_ca_certificates)[0])
    if not all(any(is_issued_by(chain.leaf, ca) for ca in issuers) for chain in stored):
        return "the stored certificate is not issued by this CA"
    return _made_here_reason(wish, stored, exactly=True)


def _csr_reason(_state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
    if _signed(wish, stored):
        return "another certificate is given"
    return _made_here_reason(wish, stored, exactly=False)


def _made_here_reason(wish: CertificateWish, stored: Chains, exactly: bool) -> Optional[str]:
    """A CA that others run may add names of its own."""
    if not _fits(wish, [chain.key for chain in stored]):
        return "the stored certificate has another kind of key"
    names = set(present(wish.spec).names)
    found = [set(dns_names(chain.leaf)) for chain in stored]
    if not all(names == there if exactly else names <= there for there in found):
        return "the stored certificate has other names"
    return None


def _given_reason(state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
    given = _given(state, wish)
    same = [chain.certificates for chain in given] == [chain.certificates for chain in stored]
    return None if same else "another certificate is given"


def _stored_reason(_state: State, _wish: CertificateWish, _stored: Chains) -> Optional[str]:
    return None


_REASONS: Dict[str, Callable[[State, CertificateWish, Chains], Optional[str]]] = {
    "self_signed": _self_signed_reason,
    "own_ca": _own_ca_reason,
    "csr": _csr_reason,
    "pem": _given_reason,
    "pkcs12": _given_reason,
    "external": _given_reason,
    "stored": _stored_reason,
}
