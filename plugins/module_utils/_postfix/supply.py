# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a certificate comes from: what each provider is and answers, and what this node adds to what it brings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Optional, Sequence, Tuple

from .. import _files as files
from .._certificates import tlsa
from .._certificates.chain import Chain, Chains, is_issued_by, order, read_certificates
from .._certificates.keys import KeySpec, public_key_of, read_keys
from .._edge import Arguments, Options
from .._model.certificates import CertificateWish, Reading
from . import store, trust
from .state import State

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate, PrivateKey

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


class Promise(NamedTuple):
    """What is known of keys, and of whom their certificates will name, before they are made."""

    keys: Tuple[KeySpec, ...] = ()
    names: Tuple[str, ...] = ()


class Provider(ABC):
    """Where certificates come from. The class is the provider, an object of it what one task asks of it.

    What most providers have in common stands here; each says itself in what it differs.
    """

    name: ClassVar[str]
    """The word for it in the option C(provider), and the name of the suboption that is its own."""
    options: ClassVar[Arguments]
    """What that suboption holds, as in an argument_spec; empty where there is none."""
    needs_options: ClassVar[bool] = False
    """Whether a task cannot do without it."""
    option: ClassVar[str]
    """What errors about the certificate name."""
    judged: ClassVar[bool] = True
    """Whether the certificate is to prove an identity, so that it must be one that peers will take."""
    signed_at_once: ClassVar[bool] = False
    """Whether the controller answers a request before the task ends."""

    @classmethod
    @abstractmethod
    def read(cls, given: Options, reading: Reading) -> Provider:
        """Its part of the wish, from its suboptions without those that are not set.

        What cannot be meant is an ``InvalidValue``; of a file that cannot be used, ``reading`` raises a ``HardeningError``.
        """

    @abstractmethod
    def why(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        """Why the stored certificate, one chain at least, will not do; ``None`` where it does.

        What the task gives and cannot be used is a ``CertificateError``.
        """

    @abstractmethod
    def provide(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
        """What comes in place of the stored certificate, of which there may be none, or what that waits for.

        Writes nothing. In check mode no key is made, and the supply may be empty. What cannot be brought is a
        ``CertificateError`` or an ``InvalidValue``.
        """

    @property
    def promise(self) -> Promise:
        """Empty where the node makes no key."""
        return Promise()

    @property
    def authorities(self) -> Tuple[bytes, ...]:
        """CA certificates in PEM that it brings into what the node trusts; none by default."""
        return ()

    def issuers(self) -> Tuple[Certificate, ...]:
        """The CAs that it knows above its certificates, the issuing one first; none by default."""
        return ()

    def ends_with_its_ca(self, chains: Chains) -> bool:
        """Whether no certificate that it could bring would last longer than these, since none outlives its CA."""
        return False


class Asked(NamedTuple):
    """What one task asks: of any certificate, and of its provider."""

    wish: CertificateWish
    provider: Provider


def issuers_known(state: State, wish: CertificateWish, own: Sequence[Certificate]) -> Tuple[Certificate, ...]:
    """All CA certificates by which a chain may be completed and judged; those of its provider, ``own``, come first."""
    asked = [found for pem in wish.trust.authorities or () for found in read_certificates("trust.authorities", pem)]
    return (*own, *asked, *trust.known(state), *trust.known_to_system())


def completed(state: State, wish: CertificateWish, chains: Chains, own: Sequence[Certificate]) -> Chains:
    """Each chain with the intermediates that this node knows, and with the root where that is to be sent."""
    known = [ca for ca in issuers_known(state, wish, own) if wish.send_root or not is_issued_by(ca, ca)]
    return tuple(Chain(c.key, order(c.leaf, [*c.certificates[1:], *known])) for c in chains)


def announced(wish: CertificateWish, chains: Chains) -> bool:
    """Whether clients that look at the published TLSA records would take each of these chains."""
    return not wish.published_tlsa or all(
        tlsa.holds(wish.published_tlsa, public_key_of(c.leaf), c.certificates[1:], c.leaf) for c in chains
    )


def is_listed(wish: CertificateWish, found: Next) -> bool:
    """Whether published TLSA records name each of these keys."""
    return all(tlsa.holds(wish.published_tlsa, key.public_key(), ()) for key in found.keys)


def next_kept(state: State, name: str) -> Optional[Next]:
    """The keys that the store keeps for later, with their requests."""
    key_path, request_path = store.next_key(state, name), store.next_request(state, name)
    if not files.exists(key_path):
        return None
    csr = store.read(request_path) if files.exists(request_path) else b""
    return Next(read_keys(key_path, store.read(key_path)), csr)
