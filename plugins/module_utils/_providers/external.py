# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate that another tool on the node renews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._certificates.chain import Chains
from .._edge import Arguments, Options
from .._model import words
from .._model.certificates import Reading
from .given import Given, Material


@dataclass(frozen=True)
class Renewed:
    """Which tool renews a certificate, and where on the node it keeps it: absolute paths."""

    tool: str
    private_key: str
    certificate: str


@dataclass(frozen=True)
class External(Given):
    """Taken from where the tool keeps it, by each run and each hook."""

    name: ClassVar[str] = "external"
    option: ClassVar[str] = "external.certificate"
    options: ClassVar[Arguments] = {
        "tool": {"type": "str", "choices": ["certbot", "lego", "step", "certmonger", "other"], "required": True},
        "private_key": {"type": "str", "required": True, "no_log": False},
        "certificate": {"type": "str", "required": True},
        "hook": {"type": "bool", "default": True},
    }

    renewed: Renewed
    material: Material

    @classmethod
    def read(cls, given: Options, reading: Reading) -> External:
        key, certificate = (
            words.absolute_path(f"external.{name}", given[name]) for name in ("private_key", "certificate")
        )
        key_pem = reading.read_file("external.private_key", key)
        chain_pem = reading.read_file("external.certificate", certificate)
        return cls(Renewed(given["tool"], key, certificate), Material(key_pem, chain_pem, None))

    def chains(self) -> Chains:
        return self.material.chains(self.name)
