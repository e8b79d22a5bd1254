# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ratchet: protection is never lowered unless somebody says so."""

from __future__ import annotations

from typing import Mapping, Optional

from .._errors import HardeningError
from .._model.levels import Ordered

_REMEDY = "set allow_weaker: true if that is meant"


def check_ratchet(
    before: Mapping[str, Optional[Ordered]], after: Mapping[str, Optional[Ordered]], allow_weaker: bool
) -> None:
    """Refuse a change after which any value protects less; the sentence lists each of them."""
    lowered = [
        f"{name} from {value} to {after[name]}"
        for name, value in before.items()
        if value is not None and name in after and _is_lower(after[name], value)
    ]
    if lowered and not allow_weaker:
        raise HardeningError(f"This would lower protection: {'; '.join(lowered)}; {_REMEDY}.")


def _is_lower(after: Optional[Ordered], before: Ordered) -> bool:
    return after is None or after.is_weaker_than(before)
