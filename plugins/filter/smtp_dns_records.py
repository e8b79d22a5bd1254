# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DNS records and MTA-STS policies that a fleet is to publish, made of its own state."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_answers as answers
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_differences as differences
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_records as records

_FACTS = ("active", "certificates", "server", "sni")
"""What is read of what smtp_tls_info returns."""


def dns_records(
    hosts: object,
    hostvars: object,
    *,
    domains: object = (),
    result: object = "smtp_tls_info",
    mx_names: object = None,
    mode: object = "testing",
    max_age: object = 604800,
    rua: object = (),
    ttl: object = 3600,
    port: object = 25,
    compare: object = False,
    resolvers: object = (),
    timeout: object = 5,
) -> Dict[str, object]:
    """What to publish; with ``compare``, what DNS says otherwise as well."""
    try:
        variables, names = (
            records.read_mapping("hostvars", hostvars),
            records.read_mapping("mx_names", mx_names),
        )
        nodes = [_node(host, variables, str(result), names) for host in map(str, records.listed(hosts))]
        sts = records.Sts(records.read_mode(mode), records.read_number("max_age", max_age, 0, records.MAX_AGE))
        served = records.read_domains(domains, records.fleet_names(nodes), sts.mode)
        seconds = records.read_number("ttl", ttl, 0, records.MAX_TTL)
        number = records.read_number("port", port, 1, 65535)
        reports = [records.read_rua(address) for address in records.listed(rua)]
        wanted = [
            *records.tlsa_records(nodes, seconds, number),
            *records.domain_records(served, sts, reports, seconds),
        ]
        right = records.right_records(nodes, number)
        warnings = records.warnings(nodes, served, sts)
        said: Dict[str, object] = {
            "records": [record.facts() for record in wanted],
            "policies": {domain.name: sts.policy(domain) for domain in served},
            "zone": "".join(f"{record.line()}\n" for record in wanted),
            "warnings": warnings,
        }
        if not records.read_flag("compare", compare):
            return said
        questions = [(name, "TLSA") for name in right] + [(record.name, record.type) for record in wanted]
        questions += [(f"{domain.name}.", "MX") for domain in served]
        found = answers.ask(questions, records.listed(resolvers), timeout)
        return {
            **said,
            "records": _compared(wanted, found),
            "warnings": [*warnings, *differences.unvouched(found)],
            "differences": [one._asdict() for one in differences.differences(wanted, right, served, seconds, found)],
        }
    except HardeningError as problem:
        raise AnsibleFilterError(f"smtp_dns_records: {problem}") from problem


def _node(host: str, hostvars: Mapping[str, object], result: str, mx_names: Mapping[str, object]) -> records.Node:
    variables = hostvars[host] if host in hostvars else {}
    info = variables[result] if isinstance(variables, Mapping) and result in variables else {}
    if not isinstance(info, Mapping) or not all(isinstance(info.get(name), Mapping) for name in _FACTS):
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


def _compared(
    wanted: Sequence[records.Record], found: Mapping[answers.Question, answers.Answer]
) -> List[Dict[str, object]]:
    """The records, each with whether it is there. A node's name is asked for even where no key is served, since a stale TLSA
    record there stops mail."""
    return [
        {
            **record.facts(),
            "published": differences.is_published(record, found[record.name, record.type]),
            "authenticated": found[record.name, record.type].authenticated,
        }
        for record in wanted
    ]


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_dns_records": dns_records}
