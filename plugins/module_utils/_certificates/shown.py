# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text of strangers, safe to show: a certificate's names, and whatever else somebody else wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Name

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that count as printable and show nothing (Unicode's Default_Ignorable_Code_Point, and the blank of Braille)."""


def shown(text: str) -> str:
    """``text`` with every character escaped that moves the cursor, changes the direction or cannot be seen."""
    return "".join(c if c.isprintable() and not _UNSEEN.match(c) else _escaped(c) for c in text)


def name_text(name: Name) -> str:
    """A subject or an issuer as RFC 4514 writes it, which leaves control characters as they are."""
    return shown(name.rfc4514_string())


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
