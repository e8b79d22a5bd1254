# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many nodes in few words: ``mx[001-097]``."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Sequence, Tuple

_NUMBER = re.compile(r"(\d+)")
Parts = Tuple[str, ...]
"""A name, cut before and after each number: numbers stand at odd places."""


def folded(names: Iterable[str], width: int = 0) -> str:
    """Each name once. Names that differ in one number stand as a range. Where that is longer than ``width``, as many
    as there is room for, and how many there are."""
    every = sorted(set(names), key=_by_number)
    parts = max((len(_NUMBER.split(name)) for name in every), default=1)
    pieces = sorted((_pieces(every, place) for place in range(1, max(parts, 2), 2)), key=len)
    text = ", ".join(pieces[0])
    if not width or len(text) <= width or len(every) < 2:
        return text
    return f"{text[:width].rpartition(',')[0] or every[0]}, ... ({len(every)} nodes)"


def _by_number(name: str) -> List[Tuple[int, str]]:
    return [(int(part) if part.isdecimal() else 0, part) for part in _NUMBER.split(name)]


def _pieces(names: Sequence[str], place: int) -> List[str]:
    """The names, with ranges for the numbers at ``place``."""
    groups: Dict[Tuple[Parts, Parts], List[str]] = {}
    for name in names:
        parts = tuple(_NUMBER.split(name))
        number = parts[place] if place < len(parts) else ""
        groups.setdefault((parts[:place], parts[place + 1 :]), []).append(number)
    return [_piece("".join(before), numbers, "".join(after)) for (before, after), numbers in groups.items()]


def _piece(before: str, numbers: Sequence[str], after: str) -> str:
    if len(numbers) == 1:
        return f"{before}{numbers[0]}{after}"
    return f"{before}[{','.join(_ranges(sorted(numbers, key=lambda number: (int(number), len(number)))))}]{after}"


def _ranges(numbers: Sequence[str]) -> List[str]:
    runs: List[List[str]] = []
    for number in numbers:
        if runs and _follows(runs[-1][-1], number):
            runs[-1].append(number)
        else:
            runs.append([number])
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _follows(one: str, other: str) -> bool:
    """Whether somebody who counts from ``one`` writes ``other`` next: 09, 10; 9, 10; not 9, 010."""
    return str(int(one) + 1).zfill(len(one)) == other
