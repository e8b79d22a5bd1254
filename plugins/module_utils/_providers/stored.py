# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the store holds already, to make it active or to stop that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

from .._certificates.chain import Chains
from .._edge import Arguments, Options
from .._errors import InvalidValue
from .._model.certificates import CertificateWish, Reading
from .._postfix import store
from .._postfix.state import State
from .._postfix.supply import Provider, Supply


@dataclass(frozen=True)
class Stored(Provider):
    """Nothing is made or brought: a name that is not there is an ``InvalidValue``."""

    name: ClassVar[str] = "stored"
    option: ClassVar[str] = "stored"
    options: ClassVar[Arguments] = {}

    @classmethod
    def read(cls, given: Options, reading: Reading) -> Stored:
        return cls()

    def why(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        return None

    def provide(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
        there = [name for name in store.names(state) if store.current(state, name)]
        raise InvalidValue(
            "name",
            wish.name,
            "is not in the store",
            f"choose one of {', '.join(there) or 'none, since it is empty'}, or another provider",
        )
