# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key and certificates that exist already, in PEM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._certificates.chain import Chains
from .._edge import Arguments, Options
from .._model.certificates import Reading
from .given import Given, Material


@dataclass(frozen=True)
class Pem(Given):
    """Each a path on the node, or content."""

    name: ClassVar[str] = "pem"
    option: ClassVar[str] = "pem.certificate"
    options: ClassVar[Arguments] = {
        "private_key": {"type": "str", "required": True, "no_log": True},
        "certificate": {"type": "str", "required": True},
        "passphrase": {"type": "str", "no_log": True},
    }

    material: Material

    @classmethod
    def read(cls, given: Options, reading: Reading) -> Pem:
        key = reading.content("pem.private_key", given["private_key"], secret=True)
        certificate = reading.content("pem.certificate", given["certificate"])
        return cls(Material(key, certificate, given.get("passphrase")))

    def chains(self) -> Chains:
        return self.material.chains(self.name)
