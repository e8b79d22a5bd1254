# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs for nodes, packed on the controller."""

from __future__ import annotations

import os
import tempfile
from typing import Callable, Dict, List, Optional, Sequence

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _program
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Variables

DANE_FIRST = os.path.join(os.path.dirname(__file__), *[os.pardir] * 2, "roles", "relay", "files", "smtp-dane-first.py")
PROGRAMS: Dict[str, Callable[[], bytes]] = {
    "metrics": lambda: _program.archive(_program.METRICS),
    "validator": lambda: _program.archive(_program.VALIDATOR),
    "dane-first": lambda: _program.archive_of(_source(DANE_FIRST)),
}


class LookupModule(LookupBase):
    """Packs a program where Ansible keeps files for as long as it runs."""

    def run(self, terms: Sequence[object], variables: Optional[Variables] = None, **options: object) -> List[str]:
        return [_packed(term) for term in terms]


def _packed(name: object) -> str:
    if not isinstance(name, str) or name not in PROGRAMS:
        raise AnsibleLookupError(f"smtp_program: {name!r} is no program for nodes; name one of {', '.join(PROGRAMS)}.")
    folder: str = getattr(constants, "DEFAULT_LOCAL_TMP")  # noqa: B009 -- a name that the module makes as it is imported
    path = os.path.join(folder, f"smtp-{name}.pyz")
    if not os.path.exists(path):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(PROGRAMS[name]())
        os.replace(file.name, path)  # at once: tasks for several nodes run side by side
    return path


def _source(path: str) -> str:
    with open(path, encoding="utf-8") as handle:
        return handle.read()
