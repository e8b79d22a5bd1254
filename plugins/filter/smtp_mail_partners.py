# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""To which others a node writes, so that few messages show that mail flows through the whole fleet."""

from __future__ import annotations

from typing import List, Sequence, Union

from ansible.errors import AnsibleFilterError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Filters


def mail_partners(host: str, hosts: Sequence[str], number: Union[int, str] = 3) -> List[str]:
    """The next node of a ring, and others that lie across it at even distances: as many receive from each as it writes to."""
    ring = sorted({*hosts, host})
    others = len(ring) - 1
    wanted = min(_number(number, others), others)
    place = ring.index(host)
    steps = (1 + step * others // wanted for step in range(wanted))
    return [ring[(place + step) % len(ring)] for step in steps]


def _number(number: Union[int, str], every: int) -> int:
    if number == "all":
        return every
    try:
        wanted = int(number)
    except ValueError:
        wanted = 0
    if wanted < 1:
        raise AnsibleFilterError(f"smtp_test_partners: {number!r} is no number of nodes; use 1 or more, or all.")
    return wanted


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_mail_partners": mail_partners}
