# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values that levels, certificates demands, protocols and ciphers can take.

The spelling is Postfix's own (postconf(5)), so that an administrator needs no dictionary.
Within each enum the order is that of protection, weakest first.
"""

from __future__ import annotations

from enum import Enum
from typing import List, Optional, Type, TypeVar

from .._edge import Options
from .._errors import InvalidValue

E = TypeVar("E", bound="Ordered")


class Ordered(str, Enum):
    """A closed list of words, ordered from the weakest to the strongest."""

    _value_: str

    def __str__(self) -> str:
        return str(self.value)

    @property
    def rank(self) -> int:
        return list(type(self)).index(self)

    def is_weaker_than(self, other: Ordered) -> bool:
        """Whether this protects less than ``other`` of the same kind."""
        return self.rank < other.rank

    def common(self: E, other: E) -> E:
        """The strongest that guarantees no more than either of two: one of them, unless each guarantees something of its own."""
        return next(
            one
            for one in (self, other, *reversed(type(self)))
            if not (self.is_weaker_than(one) or other.is_weaker_than(one))
        )

    @classmethod
    def words(cls) -> List[str]:
        return [member.value for member in cls]

    @classmethod
    def read(cls: Type[E], option: str, value: object) -> E:
        """The member spelt ``value``, or an error that names the option and the choices."""
        try:
            return cls(value)
        except ValueError:
            raise InvalidValue(option, value, "is not known", f"use one of {', '.join(cls.words())}") from None


def read_given(kind: Type[E], option: str, name: str, given: Options) -> Optional[E]:
    """The suboption ``name`` of ``option``; ``None`` where it is not given."""
    return None if given.get(name) is None else kind.read(f"{option}.{name}", given[name])


class ServerLevel(Ordered):
    """postconf(5), smtpd_tls_security_level."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"


class ClientCertificates(Ordered):
    """postconf(5), smtpd_tls_ask_ccert and smtpd_tls_req_ccert."""

    IGNORE = "ignore"
    REQUEST = "request"
    REQUIRE = "require"


class ClientLevel(Ordered):
    """postconf(5), smtp_tls_security_level."""

    NONE = "none"
    MAY = "may"
    ENCRYPT = "encrypt"
    DANE = "dane"
    DANE_ONLY = "dane-only"
    FINGERPRINT = "fingerprint"
    VERIFY = "verify"
    SECURE = "secure"

    @property
    def is_mandatory(self) -> bool:
        """Whether Postfix uses its smtp_tls_mandatory_* lists at this level."""
        return self not in (ClientLevel.NONE, ClientLevel.MAY)

    @property
    def looks_at_match(self) -> bool:
        """Whether the peer's certificate must match names or fingerprints."""
        return self.trusts_a_ca or self is ClientLevel.FINGERPRINT

    @property
    def trusts_a_ca(self) -> bool:
        return self in (ClientLevel.VERIFY, ClientLevel.SECURE)

    @property
    def demands_tls(self) -> bool:
        """Whether mail is held back where TLS fails. C(dane) does so only where the peer has published that."""
        return "R" in _GUARANTEES[self]

    @property
    def is_verified(self) -> bool:
        """Whether only a peer gets mail whom DNS, a CA or a fingerprint vouches for."""
        return {"R", "D"} <= _GUARANTEES[self]

    @property
    def is_strongest(self) -> bool:
        """Whether no level guarantees anything more."""
        return not any(self.is_weaker_than(other) for other in ClientLevel)

    def is_weaker_than(self, other: Ordered) -> bool:
        """Whether something that ``other`` guarantees is lost. ``encrypt`` and ``dane`` each lose
        something of the other: dane falls back to plaintext, encrypt knows no peer."""
        return not _GUARANTEES[ClientLevel(other)] <= _GUARANTEES[self]


# Letters: T(LS tried), R(equired), D(ns or a CA may vouch for the peer), A(uthenticated, whatever insecure DNS says).
_GUARANTEES = {
    level: frozenset(guarantees)
    for level, guarantees in {
        ClientLevel.NONE: "",
        ClientLevel.MAY: "T",
        ClientLevel.ENCRYPT: "TR",
        ClientLevel.DANE: "TD",
        ClientLevel.DANE_ONLY: "TRDA",
        ClientLevel.FINGERPRINT: "TRDA",
        ClientLevel.VERIFY: "TRD",
        ClientLevel.SECURE: "TRDA",
    }.items()
}


VERIFY_WARNING = (
    "verify trusts the names of mail exchangers from insecure DNS, so whoever forges DNS chooses the name that is "
    "verified (postconf(5)); prefer secure."
)


class Protocol(Ordered):
    """TLS versions as Postfix spells them. RFC 8996 retires the first two."""

    TLS_1_0 = "TLSv1"
    TLS_1_1 = "TLSv1.1"
    TLS_1_2 = "TLSv1.2"
    TLS_1_3 = "TLSv1.3"


class CipherGrade(Ordered):
    """postconf(5), smtpd_tls_ciphers: the minimum grade. It governs TLS 1.2 and below only."""

    MEDIUM = "medium"
    HIGH = "high"
