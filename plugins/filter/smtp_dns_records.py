# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DNS records and MTA-STS policies that a fleet is to publish, made of its own state."""

from __future__ import annotations

from dataclasses import asdict
from typing import Dict, List, Mapping, Optional, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_answers as answers
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_records as records


def dns_records(
    hosts: Sequence[str],
    hostvars: Mapping[str, Facts],
    *,
    domains: object = (),
    result: str = "smtp_tls_info",
    mx_names: Optional[Mapping[str, object]] = None,
    mode: str = "testing",
    max_age: int = 604800,
    rua: object = (),
    ttl: int = 3600,
    port: int = 25,
    compare: bool = False,
    resolvers: object = (),
    timeout: int = 5,
) -> Dict[str, object]:
    """What to publish; with ``compare``, what DNS says otherwise as well."""
    try:
        nodes = [_node(host, hostvars, result, mx_names or {}) for host in map(str, records.listed(hosts))]
        sts = records.Sts(records.read_mode(mode), records.read_number("max_age", max_age, 0, records.MAX_AGE))
        served = records.read_domains(domains, records.fleet_names(nodes), sts.mode)
        seconds = records.read_number("ttl", ttl, 0, records.MAX_TTL)
        number = records.read_number("port", port, 1, 65535)
        reports = [records.read_rua(address) for address in records.listed(rua)]
        wanted = [
            *records.tlsa_records(nodes, seconds, number),
            *records.domain_records(served, sts, reports, seconds),
        ]
        also_right = records.tlsa_of_authorities(nodes, number)
        said: Dict[str, object] = {
            "records": [_facts(record) for record in wanted],
            "policies": {domain.name: sts.policy(domain) for domain in served},
            "zone": "".join(f"{record.line()}\n" for record in wanted),
            "warnings": records.warnings(nodes, served, sts),
        }
        return {**said, **_compared(wanted, also_right, records.listed(resolvers), timeout)} if compare else said
    except HardeningError as problem:
        raise AnsibleFilterError(f"smtp_dns_records: {problem}") from problem


def _node(host: str, hostvars: Mapping[str, Facts], result: str, mx_names: Mapping[str, object]) -> records.Node:
    variables = hostvars[host] if host in hostvars else {}
    info = variables[result] if result in variables else {}
    if "active" not in info or "certificates" not in info:
        raise InvalidValue(
            "result",
            result,
            f"is not what smtp_tls_info returns on {host}",
            "run mailfleet.smtp_hardening.smtp_tls_info there and register it under this name, or leave the host out",
        )
    given = mx_names.get(host) or info.get("myhostname") or host
    return records.Node(host, tuple(_mx_name(host, name) for name in records.listed(given)), info)


def _mx_name(host: str, name: object) -> str:
    try:
        return records.read_host("mx_names", name)
    except InvalidValue:
        raise InvalidValue(
            "mx_names",
            name,
            f"cannot be the name of {host} in an MX record",
            f"give the one that is, as in mx_names={{{str(host)!r}: 'mx1.example.com'}}",
        ) from None


def _facts(record: records.Record) -> Dict[str, object]:
    return {name: value for name, value in asdict(record).items() if name != "announced"}


def _compared(
    wanted: Sequence[records.Record], also_right: Mapping[str, Sequence[str]], resolvers: List[object], timeout: int
) -> Dict[str, object]:
    """Each node's name is asked for, even where no key is served, since a stale TLSA record there stops mail."""
    questions = [(name, "TLSA") for name in also_right] + [(record.name, record.type) for record in wanted]
    found = answers.ask(questions, resolvers, timeout)
    return {
        "records": [
            {
                **_facts(record),
                "published": answers.is_published(record, found[record.name, record.type]),
                "authenticated": found[record.name, record.type].authenticated,
            }
            for record in wanted
        ],
        "differences": [one._asdict() for one in answers.differences(wanted, also_right, found)],
    }


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_dns_records": dns_records}
