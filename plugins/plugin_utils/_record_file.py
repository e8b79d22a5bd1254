# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records of domains in a file: YAML, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Callable, Dict, List

import yaml

LISTS = ("match", "pins")
"""Options whose items blanks part in a cell."""


Record = Dict[str, object]


def read_records(suffix: str, text: str) -> List[Record]:
    """The list that a file holds; ``ValueError`` says what is wrong with it."""
    reader = _READERS.get(suffix.lower())
    if reader is None:
        raise ValueError(f"the suffix {suffix!r} is not known; name it .yml, .yaml, .json or .csv")
    found = reader(text.lstrip("\ufeff"))
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("it does not hold a list of records; begin each with '- name:'")
    return found


def _read_yaml(text: str) -> object:
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 -- a safe loader, whichever it is: see there
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark  # not the line itself, which the mark may show: this may be another file
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{problem.problem}") from None
    except yaml.YAMLError as problem:
        raise ValueError(" ".join(str(problem).split())) from None


def _read_csv(text: str) -> List[Record]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        _check_columns([column.strip() for column in rows.fieldnames or ()])
        return [_record(row) for row in rows if _has_content(row, rows.line_num)]
    except csv.Error as problem:
        raise ValueError(f"line {rows.line_num}: {problem}") from None


def _check_columns(columns: List[str]) -> None:
    if "name" not in columns:
        raise ValueError("its first row has no column 'name' (commas part columns)")
    twice = [c for c in columns if columns.count(c) > 1 or any(other.startswith(f"{c}.") for other in columns)]
    if twice:
        raise ValueError(f"its first row has the column {twice[0]!r} twice")


def _has_content(row: Dict[str, str], line: int) -> bool:
    """Spreadsheets leave rows of empty cells behind."""
    if None in row or None in row.values():
        raise ValueError(f"line {line} has not as many cells as the first row")
    return any(cell.strip() for cell in row.values())


def _record(row: Dict[str, str]) -> Record:
    record: Record = {}
    nested: Dict[str, Record] = {}
    for column, cell in row.items():
        if cell.strip():
            option, _dot, suboption = column.strip().partition(".")
            target = nested.setdefault(option, {}) if suboption else record
            name = suboption or option
            target[name] = cell.split() if name in LISTS else cell.strip()
    return {**record, **nested}


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""LibYAML's where PyYAML has it: ten times as fast."""

_READERS: Dict[str, Callable[[str], object]] = {
    ".csv": _read_csv,
    ".json": json.loads,
    ".yml": _read_yaml,
    ".yaml": _read_yaml,
}
