# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a sentence calls an option: where the task takes it from a variable, the name of that variable."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Mapping, Optional, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Variables

_TEMPLATE = re.compile(r"\s*\{\{-?\s*([A-Za-z_]\w*)\b(?!\s*[.(\[])")
"""A value that begins with a variable as a whole: not with a part of one, nor with a function."""
_DEFAULT = re.compile(
    r"\s*\{\{-?\s*[A-Za-z_]\w*\s*\|\s*default\(\s*(?!(?:true|false|none|omit)\b)([A-Za-z_]\w*)\s*\)", re.IGNORECASE
)
"""The variable that stands in for it where it is not set."""
_LONGEST_CHAIN = 10


def variables_of(task: object, task_vars: Variables) -> Dict[str, str]:
    """Each option that the task takes from a variable, and the variable to set: that from which nobody takes it further."""
    named = ((option, _named(value, task_vars)) for option, value in _written(task))
    return {option: _first(name, task_vars) for option, name in named if name}


def in_own_words(text: str, variables: Mapping[str, str]) -> str:
    """Where an option is called by its name, at the beginning or as something to set or to list in, the variable's name stands instead."""
    for option, variable in variables.items():
        at_begin, to_set = rf"\A{option}(?=[.:\[])", rf"(?<![\w.]){option}(?=: (?:true\b|false\b|\[))"
        to_list = rf"(?<=list in ){option}(?=\.)"
        text = re.sub(rf"{at_begin}|{to_set}|{to_list}", variable, text)
    return text


def _written(task: object) -> Iterator[Tuple[str, object]]:
    """The task's options as the playbook has them, before templates are filled in."""
    written = getattr(task, "_ds", None)
    action = str(getattr(task, "action", ""))
    for name in (action, action.rpartition(".")[2], "args"):
        options = written.get(name) if isinstance(written, Mapping) else None
        if isinstance(options, Mapping):
            yield from options.items()


def _named(value: object, task_vars: Variables) -> Optional[str]:
    found = _TEMPLATE.match(value) if isinstance(value, str) else None
    if not found:
        return None
    instead = _DEFAULT.match(found.string)
    return instead[1] if instead and found[1] not in task_vars else found[1]


def _first(name: str, task_vars: Variables) -> str:
    """Roles' variables take their values from those of the fleet."""
    for _step in range(_LONGEST_CHAIN):
        further = _named(task_vars.get(name), task_vars)
        if further is None or further == name:
            break
        name = further
    return name
