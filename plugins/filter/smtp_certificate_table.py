# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The active certificates of all nodes, as a table for people."""

from __future__ import annotations

from typing import List, Mapping, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._table import table

HEAD = ["node", "use", "names", "issuer", "days left", "public key (sha256)", "was"]


def certificate_table(hosts: Sequence[str], hostvars: Mapping[str, Facts]) -> str:
    """One row an active certificate; fingerprints are cut, enough to compare nodes with one another."""
    return table(HEAD, [row for host in hosts for row in _rows(host, hostvars[host])])


def _rows(host: str, variables: Facts) -> List[List[str]]:
    before, after = variables["smtp_rotate_before"]["active"], variables["smtp_rotate_after"]["active"]
    return [
        [
            host,
            use,
            ", ".join(shown["subject_alternative_names"]),
            shown["issuer"],
            str(shown["days_left"]),
            _short(shown),
            "the same" if _short(shown) in map(_short, before[use]) else ", ".join(map(_short, before[use])) or "none",
        ]
        for use, certificates in after.items()
        for shown in certificates
    ]


def _short(certificate: Facts) -> str:
    fingerprint: str = certificate["public_key_sha256"]
    return fingerprint[:23]


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_certificate_table": certificate_table}
