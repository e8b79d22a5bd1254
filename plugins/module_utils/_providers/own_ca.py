# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate by the fleet's own CA, whose key lies on the controller: that signs between two calls of the module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, List, Optional, Sequence, Tuple

from .._certificates.chain import Chains, is_issued_by, order, read_certificates
from .._certificates.issue import last_day
from .._certificates.shown import shown
from .._certificates.validity import not_after
from .._edge import Arguments, Options
from .._errors import CertificateError, InvalidValue
from .._model.certificates import PEM_MARK, CertificateWish, Reading
from .._postfix.state import State
from .._postfix.supply import Supply
from .made_here import MadeHere, check_renewal, key_options, read_signed, read_spec

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate

DAYS = 90
"""The lifetime by default: what a CA vouches for is renewed each quarter."""

_AUTHORITY: Arguments = {
    "ca_certificate": {"type": "str"},
    "ca_private_key": {"type": "str", "no_log": True},
    "ca_passphrase": {"type": "str", "no_log": True},
    "ca_create": {"type": "bool", "default": False},
}


def check_assigned(names: Sequence[str], assigned: Sequence[str], node: str = "") -> None:
    """Refuse names that the inventory did not give the node: on the node before a key is made, on the controller before it signs."""
    given = {name.lower() for name in assigned}
    strange = [name for name in names if name.lower() not in given]
    if strange:
        raise CertificateError(
            f"own_ca.names: {node or assigned[0]} asks for a certificate as {', '.join(map(shown, strange))}, and by the inventory it "
            f"is {', '.join(assigned)} alone; list in own_ca.names what this node is to be called, or give the host that name in the "
            "inventory."
        )


@dataclass(frozen=True)
class OwnCa(MadeHere):
    """By default ECDSA P-256, for 90 days or what the CA itself has left."""

    name: ClassVar[str] = "own_ca"
    option: ClassVar[str] = "own_ca"
    signed_at_once: ClassVar[bool] = True
    key_type: ClassVar[str] = "ecdsa"
    needs_options: ClassVar[bool] = True
    options: ClassVar[Arguments] = {
        **_AUTHORITY,
        "next_ca": {"type": "dict", "options": {**_AUTHORITY, "ca_certificate": {"type": "str", "required": True}}},
        "domains": {"type": "list", "elements": "str"},
        "certificate": {"type": "str"},
        "assigned": {"type": "list", "elements": "str"},
        **key_options(key_type),
        "days": {"type": "int"},
    }

    ca: bytes
    """The fleet's CA in PEM, the issuing certificate first."""
    next_ca: Optional[bytes]
    """The CA that will follow: what it has issued already stays."""

    @classmethod
    def read(cls, given: Options, reading: Reading) -> OwnCa:
        if PEM_MARK not in given.get("ca_certificate", ""):
            raise InvalidValue(
                "own_ca.ca_certificate",
                given.get("ca_certificate"),
                "is no certificate in PEM",
                "give the fleet's CA as a path on the controller or as content",
            )
        keys, spec = read_spec(cls.name, given, reading.host, cls.key_type, DAYS)
        check_assigned(spec.names, given.get("assigned") or spec.names)
        check_renewal(cls.name, spec.days, reading.renew_before)
        signed = read_signed(cls.name, given, reading)
        following = (given.get("next_ca") or {}).get("ca_certificate")
        return cls(keys, spec, signed, given["ca_certificate"].encode(), following.encode() if following else None)

    @property
    def authorities(self) -> Tuple[bytes, ...]:
        return (self.ca, self.next_ca) if self.next_ca else (self.ca,)

    def issuers(self) -> Tuple[Certificate, ...]:
        return read_certificates("own_ca.ca_certificate", self.ca)

    def ends_with_its_ca(self, chains: Chains) -> bool:
        if not chains:
            return False
        issuing, *others = self.issuers()
        return min(not_after(chain.leaf) for chain in chains) >= last_day(order(issuing, others))

    def sent_along(self, wish: CertificateWish) -> List[Certificate]:
        return [ca for ca in self.issuers() if wish.send_root or not is_issued_by(ca, ca)]

    def why(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        issuers = [self.issuers()[0]]
        if self.next_ca:
            issuers.append(read_certificates("own_ca.next_ca.ca_certificate", self.next_ca)[0])
        if not all(any(is_issued_by(chain.leaf, ca) for ca in issuers) for chain in stored):
            return "the stored certificate is not issued by this CA"
        return self.unlike(stored, exactly=True) or self.age(state, wish, stored)

    def provide(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
        found = self.to_certify(state, wish, stored, check_mode)
        return Supply() if found is None else self.signed_by_a_ca(state, wish, stored, found)
