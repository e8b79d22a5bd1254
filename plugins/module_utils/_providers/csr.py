# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate by a CA that others run: the node makes key and request, a person brings what the CA answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

from .._certificates.chain import Chains
from .._edge import Arguments, Options
from .._model.certificates import CertificateWish, Reading
from .._postfix.state import State
from .._postfix.supply import SIGNATURE, Supply
from .made_here import MadeHere, key_options, read_signed, read_spec


@dataclass(frozen=True)
class Csr(MadeHere):
    """By default ECDSA P-256. How long it lasts, the CA says."""

    name: ClassVar[str] = "csr"
    option: ClassVar[str] = "csr.certificate"
    key_type: ClassVar[str] = "ecdsa"
    options: ClassVar[Arguments] = {"certificate": {"type": "str"}, **key_options(key_type)}

    @classmethod
    def read(cls, given: Options, reading: Reading) -> Csr:
        keys, spec = read_spec(cls.name, given, reading.host, cls.key_type, 1)
        return cls(keys, spec, read_signed(cls.name, given, reading))

    def why(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        """A CA that others run may add names of its own."""
        if self.new(stored):
            return "another certificate is given"
        return self.unlike(stored, exactly=False) or self.age(state, wish, stored) or self.begun(state, wish)

    def provide(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
        found = self.to_certify(state, wish, stored, check_mode)
        return Supply((), SIGNATURE) if found is None else self.signed_by_a_ca(state, wish, stored, found)
