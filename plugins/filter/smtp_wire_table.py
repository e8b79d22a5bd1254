# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the wire showed, node by node, as a table for people."""

from __future__ import annotations

from typing import List, Mapping, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._table import table

SEEN = "smtp_harden_seen"
LISTENER_HEAD = [
    "node",
    "listener",
    "STARTTLS",
    "plaintext",
    "protocols",
    "cipher",
    "certificate",
    "issuer",
    "days",
    "client certificate",
]
REHEARSAL_HEAD = ["node", "domain", "level", "if enforced", "TLS", "detail"]
MAIL_HEAD = ["from", "to", "mail", "TLS", "detail"]


def wire_table(hosts: Sequence[str], hostvars: Mapping[str, Facts]) -> str:
    """One row a listener, then one row a message from a node to another, then one row a domain that was rehearsed."""
    seen = {host: hostvars[host][SEEN] for host in hosts if SEEN in hostvars[host]}
    listeners = [_listener(host, o) for host, result in seen.items() for o in result.get("observations", [])]
    mails = [_mail(host, d) for host, result in seen.items() for d in result.get("deliveries", [])]
    rehearsals = [_rehearsal(host, r) for host, result in seen.items() for r in result.get("rehearsals", [])]
    tables = [table(LISTENER_HEAD, listeners)]
    tables += [table(head, rows) for head, rows in ((MAIL_HEAD, mails), (REHEARSAL_HEAD, rehearsals)) if rows]
    return "\n\n".join(tables)


def _listener(host: str, seen: Facts) -> List[str]:
    if seen["error"]:
        return [host, seen["listener"], "?", seen["error"], *[""] * (len(LISTENER_HEAD) - 4)]
    certificate: Facts = seen["certificate"] or {}
    spoken = [name for name, answer in seen["protocols"].items() if answer == "accepted"]
    return [
        host,
        seen["listener"],
        "implicit" if seen["implicit_tls"] else "offered" if seen["starttls"] else "not offered",
        seen["plaintext"] or "-",
        " ".join(spoken) or "-",
        seen["cipher"] or "-",
        f"{certificate['key_type'].upper()} {certificate['key_size']}" if certificate else "-",
        ("self-signed" if certificate["self_signed"] else certificate["issuer"]) if certificate else "-",
        str(certificate.get("days_left", "-")),
        {"ignore": "not asked for", "request": "asked for", "require": "required"}.get(seen["client_certificate"], "-"),
    ]


def _mail(host: str, delivery: Facts) -> List[str]:
    status = delivery["status"] or "still in the queue"
    detail = delivery["tls_detail"] if status == "sent" else delivery["reply"]
    return [host, delivery["recipient"], status, delivery["tls"] or "none", detail or ""]


def _rehearsal(host: str, seen: Facts) -> List[str]:
    fate = "goes out" if seen["delivered"] else "would wait"
    return [host, seen["domain"], seen["level"], fate, seen["tls"] or "none", seen["reason"] or ""]


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_wire_table": wire_table}
