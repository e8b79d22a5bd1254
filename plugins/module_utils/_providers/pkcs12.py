# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key and certificates that exist already, in a PKCS#12 archive (RFC 7292)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import ClassVar, Optional

from .._certificates.archive import read_archive
from .._certificates.chain import Chains
from .._edge import Arguments, Options
from .._errors import InvalidValue
from .._model import words
from .._model.certificates import Reading
from .given import Given


@dataclass(frozen=True)
class Pkcs12(Given):
    """The archive is a path on the node, or content in Base64."""

    name: ClassVar[str] = "pkcs12"
    option: ClassVar[str] = "pkcs12.archive"
    options: ClassVar[Arguments] = {
        "archive": {"type": "str", "required": True, "no_log": True},
        "passphrase": {"type": "str", "no_log": True},
    }

    archive: bytes
    passphrase: Optional[str]

    @classmethod
    def read(cls, given: Options, reading: Reading) -> Pkcs12:
        return cls(_content(given["archive"], reading), given.get("passphrase"))

    def chains(self) -> Chains:
        return read_archive(self.name, self.archive, self.passphrase)


def _content(text: str, reading: Reading) -> bytes:
    if text.startswith("/"):
        return reading.read_file("pkcs12.archive", words.absolute_path("pkcs12.archive", text))
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue(
            "pkcs12.archive",
            text,
            "is neither an absolute path on the node nor Base64",
            "give a path, or the content through the filter b64encode",
        ) from None
