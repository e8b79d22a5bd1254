# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate by its own key: it encrypts and proves no identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

from .._certificates.chain import Chain, Chains, is_issued_by
from .._certificates.issue import self_sign
from .._certificates.validity import utc_now
from .._edge import Arguments, Options
from .._model.certificates import CertificateWish, Reading
from .._postfix.state import State
from .._postfix.supply import Supply
from .made_here import MadeHere, check_renewal, key_options, once_announced, read_spec

DAYS = 3650
"""The lifetime by default: a Default Cert proves nothing that would age."""


@dataclass(frozen=True)
class SelfSigned(MadeHere):
    """By default RSA 4096, for 3650 days."""

    name: ClassVar[str] = "self_signed"
    option: ClassVar[str] = "self_signed"
    judged: ClassVar[bool] = False
    key_type: ClassVar[str] = "rsa"
    options: ClassVar[Arguments] = {**key_options(key_type), "days": {"type": "int"}}

    @classmethod
    def read(cls, given: Options, reading: Reading) -> SelfSigned:
        keys, spec = read_spec(cls.name, given, reading.host, cls.key_type, DAYS)
        check_renewal(cls.name, spec.days, reading.renew_before)
        return cls(keys, spec, None)

    def why(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        if not all(is_issued_by(chain.leaf, chain.leaf) for chain in stored):
            return "the stored certificate is not self-signed"
        return self.unlike(stored, exactly=True) or self.age(state, wish, stored)

    def provide(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
        found = self.to_certify(state, wish, stored, check_mode)
        if found is None:
            return Supply()
        chains = tuple(Chain(key, (self_sign(self.spec, key, utc_now()),)) for key in found.keys)
        return once_announced(wish, found, chains)
