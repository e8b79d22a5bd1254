# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the closing proof of a run shows wrong."""

from __future__ import annotations

from typing import List, Mapping, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters, Result
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._failures import failures
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._report import failure_facts


def proof_failures(hosts: Sequence[str], hostvars: Mapping[str, Facts]) -> List[Result]:
    """Each with its node, in the order of the hosts."""
    return [{"node": host, **failure_facts(failure)} for host in hosts for failure in failures(hostvars[host])]


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_proof_failures": proof_failures}
