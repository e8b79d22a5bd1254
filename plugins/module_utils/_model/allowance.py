# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a task lets protect less than before (C(allow_weaker)): everything, or items by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet

from .._errors import InvalidValue

_YES, _NO = ("yes", "true", "on", "1", "y", "t"), ("no", "false", "off", "0", "n", "f", "")
"""As Ansible reads booleans."""


@dataclass(frozen=True)
class Allowance:
    """``said`` is what the task itself asks for by name, such as other CAs to trust: the last word of an item's name."""

    everything: bool = False
    items: FrozenSet[str] = frozenset()
    said: FrozenSet[str] = frozenset()
    offered: bool = True
    """Whether the module has the option C(allow_weaker) at all."""

    def covers(self, item: str) -> bool:
        """Whether an item may fall: it is named, or what it belongs to is (``client`` for ``client.level``)."""
        owner, _dot, what = item.rpartition(".")
        return self.everything or what in self.said or not self.items.isdisjoint((item, owner))

    def remedy(self, names: str) -> str:
        """How a refusal ends that names these items."""
        if not self.offered:
            return "nothing in this task lets that fall; where it is meant, lower it first by smtp_tls_mode with allow_weaker."
        return f"set allow_weaker: true if that is meant, or allow_weaker: [{names}] for that alone."


NOTHING = Allowance()


def read_allowance(value: object, said: FrozenSet[str] = frozenset()) -> Allowance:
    """The option C(allow_weaker): a boolean, or a list of items as the refusal names them."""
    if isinstance(value, (list, tuple)):
        return Allowance(items=frozenset(_item(item) for item in value), said=said)
    text = str(value).strip().lower()
    if text in _YES or text in _NO:
        return Allowance(everything=text in _YES, said=said)
    return Allowance(items=frozenset(map(_item, str(value).split(","))), said=said)


def _item(value: object) -> str:
    text = str(value).strip()
    if not text or text.lower() in (*_YES, *_NO):
        raise InvalidValue("allow_weaker", value, "names no item", "list items as the refusal names them, or set true")
    return text
