# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run would change on each node, as a table for people."""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._changes import changes, told
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._table import table

HEAD = ["node", "what", "before", "after"]


def pending_table(hosts: Sequence[str], hostvars: Mapping[str, Facts]) -> str:
    """One row a value that differs, inside records too; a sentence where none does."""
    rows = [
        [host, *told(change.what, change.before, change.after)] for host in hosts for change in changes(hostvars[host])
    ]
    return table(HEAD, rows) if rows else "Nothing differs: every node is as its profile says."


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_pending_table": pending_table}
