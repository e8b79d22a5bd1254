# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What providers share whose keys the node makes: the kind of key, the names, when both are renewed, and what that waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Collection, Iterable, List, Optional, Sequence, Tuple

from .._certificates import tlsa
from .._certificates.chain import Chains, build_chains, read_certificates
from .._certificates.describe import dns_names
from .._certificates.issue import CertificateSpec, request, requested_names
from .._certificates.keys import KeySpec, able_to_sign, make_key, public_bytes, public_key_of
from .._certificates.opaque import OpaqueKey
from .._certificates.validity import not_after, utc_now
from .._edge import Arguments, Options
from .._errors import InvalidValue
from .._model import words
from .._model.certificates import CertificateWish, Reading
from .._postfix.state import State
from .._postfix.supply import (
    ANNOUNCEMENT,
    SIGNATURE,
    Next,
    Promise,
    Provider,
    Supply,
    announced,
    completed,
    is_listed,
    next_kept,
)

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate, PrivateKey, ServedKey


def key_options(key_type: str) -> Arguments:
    """Suboptions for keys and names; ``key_type`` is the kind of key by default."""
    return {
        "key_type": {"type": "str", "choices": ["rsa", "ecdsa", "ed25519", "both"], "default": key_type},
        "key_size": {"type": "int", "no_log": False},
        "names": {"type": "list", "elements": "str"},
    }


@dataclass(frozen=True)
class MadeHere(Provider):
    """Keys that the node makes, and what their certificates are to say."""

    key_type: ClassVar[str]
    """The kind of key where none is given: C(rsa), C(ecdsa), C(ed25519) or C(both)."""

    keys: Tuple[KeySpec, ...]
    spec: CertificateSpec
    signed: Optional[bytes]
    """What a CA has signed, in PEM; C(None) where none has yet, or where none is to."""

    @property
    def promise(self) -> Promise:
        return Promise(self.keys, self.spec.names)

    def unlike(self, stored: Chains, exactly: bool) -> Optional[str]:
        """In what stored certificates differ from those that are to be made; ``None`` where they do not.

        Where their names need not be ``exactly`` these, they may have others beside them.
        """
        if not self._fits([chain.key for chain in stored]):
            return "the stored certificate has another kind of key"
        names = set(self.spec.names)
        found = [set(dns_names(chain.leaf)) for chain in stored]
        if not all(names == there if exactly else names <= there for there in found):
            return "the stored certificate has other names"
        return None

    def age(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        """Why stored certificates are due for renewal; ``None`` where they are not."""
        if wish.renew_now:
            return "renew_now is set"
        left = min((not_after(chain.leaf) - utc_now()).days for chain in stored)
        if left < wish.renew_before and (left < 0 or not self.ends_with_its_ca(stored)):
            return f"the stored certificate has {left} days left, fewer than renew_before"
        return self.begun(state, wish) if wish.published_tlsa else None

    def begun(self, state: State, wish: CertificateWish) -> Optional[str]:
        """Whether a renewal waits: it goes on with each run, and not with those alone that would begin one."""
        return "a renewal has begun, and its key waits on the node" if self._kept(state, wish) else None

    def new(self, stored: Chains) -> List[Certificate]:
        """What a CA has signed beyond the certificates that are stored already."""
        if self.signed is None:
            return []
        known = [chain.leaf for chain in stored]
        found = read_certificates(f"{self.name}.certificate", self.signed)
        return [] if any(certificate in known for certificate in found) else list(found)

    def to_certify(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Optional[Next]:
        """The keys to certify: the stored ones where they are to stay, those kept for it, or new ones.

        ``None`` in check mode where they would have to be made.
        """
        kept, signed = self._kept(state, wish), self.new(stored)
        own: Tuple[PrivateKey, ...] = ()
        if self._fits([chain.key for chain in stored]):
            own = tuple(able_to_sign(wish.name, chain.key) for chain in stored)
        if _are_certified(own, signed):
            keys = own
        elif kept is not None and is_listed(wish, kept):
            keys = kept.keys
        elif own and not wish.renew_key:
            keys = own
        elif kept is not None:
            keys = kept.keys
        elif check_mode:
            return None
        else:
            keys = tuple(make_key(spec) for spec in self.keys)
        names = self.spec.names
        if (
            kept is not None
            and _public(kept.keys) == _public(keys)
            and requested_names(kept.request) == [names] * len(keys)
        ):
            return kept
        return Next(keys, b"".join(request(names, key) for key in keys))

    def signed_by_a_ca(self, state: State, wish: CertificateWish, stored: Chains, found: Next) -> Supply:
        """What a CA has signed for these keys, or what they wait for."""
        signed = self.new(stored)
        if signed:
            return once_announced(
                wish, found, completed(state, wish, build_chains(self.name, found.keys, signed), self.issuers())
            )
        return Supply((), SIGNATURE if self._may_be_announced(wish, found.keys) else ANNOUNCEMENT, found)

    def sent_along(self, wish: CertificateWish) -> Optional[Sequence[Certificate]]:
        """The CAs that will come with a certificate; ``None`` where nobody can know before it is signed."""
        return None

    def _may_be_announced(self, wish: CertificateWish, keys: Iterable[PrivateKey]) -> bool:
        """Whether clients that look at the published TLSA records may take what a CA will sign for these keys."""
        if not wish.published_tlsa:
            return True
        sent = self.sent_along(wish)
        if sent is None and any(record.usage == 2 for record in wish.published_tlsa):
            return True
        return all(tlsa.holds(wish.published_tlsa, key.public_key(), sent or ()) for key in keys)

    def _kept(self, state: State, wish: CertificateWish) -> Optional[Next]:
        """Keys that the store keeps for later, of the kind that is asked for now."""
        kept = next_kept(state, wish.name)
        return kept if kept is not None and self._fits(kept.keys) else None

    def _fits(self, keys: Sequence[ServedKey]) -> bool:
        return len(keys) == len(self.keys) and all(
            not isinstance(key, OpaqueKey) and spec.fits(key.public_key()) for spec, key in zip(self.keys, keys)
        )


def once_announced(wish: CertificateWish, found: Next, chains: Chains) -> Supply:
    """Nothing is served that a published TLSA record forbids."""
    return Supply(chains) if announced(wish, chains) else Supply((), ANNOUNCEMENT, found)


def read_names(option: str, given: Optional[Collection[object]], host: str) -> Tuple[str, ...]:
    """The DNS names of a certificate, the host's own where none are given."""
    if given is not None and not given:
        raise InvalidValue(
            option, [], "names nobody", "leave the option out for the host's own name, or list one name at least"
        )
    return tuple(words.certificate_name(option, name) for name in given or (host,))


def read_spec(
    provider: str, given: Options, host: str, key_type: str, days: int
) -> Tuple[Tuple[KeySpec, ...], CertificateSpec]:
    """Keys and names of a certificate; its ``key_type`` and the ``days`` that it lasts where they are not given."""
    days = given.get("days", days)
    if not 0 < days <= 36500:
        raise InvalidValue(f"{provider}.days", days, "is no lifetime", "use 1 to 36500 days")
    keys = KeySpec.read(provider, {"key_type": key_type, **given})
    return keys, CertificateSpec(read_names(f"{provider}.names", given.get("names"), host), days)


def check_renewal(provider: str, days: int, renew_before: int) -> None:
    """A certificate that lives no longer than C(renew_before) would be renewed by every run."""
    if renew_before >= days:
        raise InvalidValue(
            "renew_before",
            renew_before,
            f"is not shorter than {provider}.days, {days}",
            "choose fewer days, or a longer-lived certificate",
        )


def read_signed(provider: str, given: Options, reading: Reading) -> Optional[bytes]:
    """What a CA has signed, in PEM; C(None) where nothing is given."""
    signed = given.get("certificate")
    return reading.content(f"{provider}.certificate", signed) if signed else None


def _are_certified(keys: Sequence[PrivateKey], certificates: Sequence[Certificate]) -> bool:
    """Whether there is a certificate for each of these keys."""
    return bool(keys) and set(_public(keys)) <= {public_bytes(public_key_of(c)) for c in certificates}


def _public(keys: Sequence[PrivateKey]) -> List[bytes]:
    return [public_bytes(key.public_key()) for key in keys]
