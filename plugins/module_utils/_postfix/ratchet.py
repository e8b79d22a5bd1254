# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ratchet: protection is never lowered unless somebody says so."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from .._errors import HardeningError

_REMEDY = "set allow_weaker: true if that is meant"


def check_ratchet(before: Mapping[str, Any], after: Mapping[str, Any], allow_weaker: bool) -> None:
    """Refuse a change after which any value protects less; the sentence lists each of them.

    Both map ``owner.name`` to a value. What every service shares is said once, of its first owner.
    """
    lowered: Dict[str, str] = {}
    for key, value in before.items():
        if value is not None and key in after and _is_lower(after[key], value):
            owner, _dot, name = key.rpartition(".")
            lowered.setdefault(f"{name} from {value} to {after[key]}", owner)
    if lowered and not allow_weaker:
        listed = "; ".join(f"{owner}.{change}" for change, owner in lowered.items())
        raise HardeningError(f"This would lower protection: {listed}; {_REMEDY}.")


def _is_lower(after: Any, before: Any) -> bool:
    return after is None or after.is_weaker_than(before)
