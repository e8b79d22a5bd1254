# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What providers share that bring keys and certificates which exist already."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Optional

from .._certificates.chain import Chains, read_chains
from .._model.certificates import CertificateWish
from .._postfix.state import State
from .._postfix.supply import Provider, Supply, completed


@dataclass(frozen=True)
class Material:
    """A key and certificates in PEM: contents, not paths."""

    private_key: bytes
    certificate: bytes
    passphrase: Optional[str]

    def chains(self, provider: str) -> Chains:
        """The chain of each key. What cannot be read, or does not belong together, is a ``CertificateError``."""
        return read_chains(provider, self.private_key, self.certificate, self.passphrase)


class Given(Provider):
    """The certificate is what is given, completed with the intermediates that this node knows."""

    needs_options: ClassVar[bool] = True

    @abstractmethod
    def chains(self) -> Chains:
        """The chains as they are given. What cannot be read is a ``CertificateError``."""

    def why(self, state: State, wish: CertificateWish, stored: Chains) -> Optional[str]:
        given = self._completed(state, wish)
        same = [chain.certificates for chain in given] == [chain.certificates for chain in stored]
        return None if same else "another certificate is given"

    def provide(self, state: State, wish: CertificateWish, stored: Chains, check_mode: bool) -> Supply:
        return Supply(self._completed(state, wish))

    def _completed(self, state: State, wish: CertificateWish) -> Chains:
        return completed(state, wish, self.chains(), self.issuers())
