# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be wrong with domain records: on this node, beside its other tables, or against what held before."""

from __future__ import annotations

import os
import re
from typing import Iterable, Iterator, Optional, Sequence, Tuple

from .. import _given
from .._errors import InvalidValue
from .._model.domains import DomainPolicy
from .._model.incoming import Demand, Unlisted
from .._model.levels import ClientCertificates, Ordered, ServerLevel
from .._model.policies import ServerPolicy
from .._model.routes import Route
from . import incoming
from .commands import Postfix
from .domain_tables import PARENTS, SOURCES, TABLES, alone, goes_by_lmtp, knows_a_ca, lmtp_transports, others, ours
from .levels import DANE, read_server
from .plan import Plan
from .state import State, split_list
from .tables import parse_table
from .values import client_level, is_yes

REQUIRETLS_SINCE = (3, 11)
"""RELEASE_NOTES of Postfix 3.11."""

_INDEXES = (".cdb", ".db", ".dir", ".lmdb")
_INDEXED = ("btree", "cdb", "dbm", "hash", "lmdb", "sdbm", "texthash")


def check_known(state: State, records: Iterable[DomainPolicy]) -> None:
    """Refuse what this version of Postfix does not know."""
    for record in records:
        if record.requiretls is not None and state.version < REQUIRETLS_SINCE:
            raise InvalidValue(
                "domains",
                record.name,
                f"has requiretls, which Postfix {state.effective['mail_version']} does not know",
                "leave it out below Postfix 3.11",
            )


def check_routes(state: State, stated: Iterable[DomainPolicy], in_force: Iterable[DomainPolicy]) -> None:
    """Refuse a transport that does not bring mail to hosts, or not at the level that a record has today."""
    for whole, record in zip(stated, in_force):
        if record.route is not None:
            _check_transport(state, record, record.route)
            _check_socket(whole, record.route)
            _check_level(state, whole, record, record.route)


def _check_transport(state: State, record: DomainPolicy, route: Route) -> None:
    option, service = f"domains[{record.name}].route", state.service(route.transport, "unix")
    if service is None:
        if not route.implicit_tls:  # whose service comes with the record
            raise InvalidValue(
                option,
                str(route),
                f"names a transport that master.cf does not have ({route.transport}/unix)",
                "name a client service of master.cf, or make one (services of smtp_settings)",
            )
        return
    if not service.is_sender:
        raise InvalidValue(
            option,
            str(route),
            f"names a transport that sends to no host: {service.key} runs {service.command}",
            "name a service of smtp(8) or lmtp(8), or leave the transport out",
        )
    if route.implicit_tls and not is_yes(state.value("smtp_tls_wrappermode", service)):
        raise InvalidValue(
            option,
            str(route),
            f"needs the service {service.key} for hosts where TLS comes first, and master.cf has another of that name",
            "give that one another name, or override smtp_tls_wrappermode=yes there",
        )


def _check_socket(record: DomainPolicy, route: Route) -> None:
    if route.is_socket and record.level is not None and record.level.demands_tls:
        raise InvalidValue(
            f"domains[{record.name}].level",
            str(record.level),
            f"demands TLS of {route}, a socket, and posttls-finger(1), which asks hosts before, cannot ask one",
            "leave it out, or set level: may",
        )


def _check_level(state: State, whole: DomainPolicy, record: DomainPolicy, route: Route) -> None:
    option, service = f"domains[{record.name}].route", state.service(route.transport, "unix")
    if service is None:
        return
    found, first = state.found(service), f"{service.command}_tls_wrappermode"
    level = record.level or client_level(found, service.command)
    if is_yes(found.get(first, "")) and not level.demands_tls:
        only_today = whole.level is not None and whole.level.demands_tls
        raise InvalidValue(
            option,
            str(route),
            f"goes by {service.key}, where TLS comes first ({first}), and at level {level} Postfix sends nothing there"
            + (", as the record is in testing or has expired" if only_today else ""),
            "take mode or expires out, or leave the transport to the port, as in [host]:465"
            if only_today
            else "give the record a level: encrypt or a stricter one",
        )
    if service.command == "lmtp" and (record.level in DANE or record.requiretls is not None):
        raise InvalidValue(
            option,
            str(route),
            f"goes by LMTP ({service.key}), for which there is no {'requiretls' if record.requiretls else str(record.level)}",
            "leave it out, or route the domain by SMTP",
        )


def check_local(state: State, records: Iterable[DomainPolicy]) -> None:
    """Refuse to change what other domains in relay_domains may rely on."""
    names = alone(records)
    if names and "relay_domains" in split_list(state.effective[PARENTS]) and others(state, "relay_domains"):
        raise InvalidValue(
            "domains",
            names[0],
            "is to be local without the names below it, while main.cf lists other relay_domains that may rely on "
            f"{PARENTS}",
            "set subdomains: true, or take relay_domains out of that parameter yourself (postconf(5))",
        )


def check_unlisted(records: Iterable[DomainPolicy], unlisted: Unlisted) -> None:
    """Refuse to shut everybody out."""
    if unlisted is Unlisted.REJECT and not any(record.incoming for record in records):
        raise InvalidValue(
            "unlisted_senders",
            unlisted.value,
            "would refuse all mail but bounces, since no record has incoming",
            "list those who may send, or set accept (with allow_weaker: true where it was reject)",
        )


def unmet(state: State, records: Sequence[DomainPolicy]) -> Optional[str]:
    """The first sentence about what Postfix, as it is set up, could not honour or would hold mail back for."""
    try:
        _check_setup(state, records)
    except InvalidValue as problem:
        return str(problem)
    return None


def _check_setup(state: State, records: Sequence[DomainPolicy]) -> None:
    server = read_server(state.effective)
    for record in records:
        level = record.level
        side = "lmtp" if goes_by_lmtp(record, lmtp_transports(state)) else "smtp"
        if level and level.trusts_a_ca and not knows_a_ca(state, side):
            raise InvalidValue(
                "domains",
                record.name,
                f"has level {level}, but {side}_tls_CAfile names no CA, so all its mail would be deferred",
                "set client.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert",
            )
        _check_demand(state, record, server)


def _check_demand(state: State, record: DomainPolicy, server: ServerPolicy) -> None:
    demand = record.incoming.demand if record.incoming else Demand.NOTHING
    if demand is not Demand.NOTHING and server.level is ServerLevel.NONE:
        raise InvalidValue(
            "domains",
            record.name,
            f"demands {demand} of incoming mail, but the server offers no STARTTLS",
            "set server.level: may of smtp_tls_mode first",
        )
    if demand in (Demand.CERTIFICATE, Demand.PINS) and server.client_certificates is ClientCertificates.IGNORE:
        raise InvalidValue(
            "domains",
            record.name,
            "demands a client certificate, but the server asks nobody for one",
            "set server.client_certificates: request of smtp_tls_mode first",
        )
    if demand is Demand.CERTIFICATE and not knows_a_ca(state, "smtpd"):
        raise InvalidValue(
            "domains",
            record.name,
            "demands a client certificate of a trusted CA, but smtpd_tls_CAfile names none",
            "set server.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert",
        )


def check_demands_can_be_met(
    state: State, option: str, level: Optional[Ordered], certificates: Optional[ClientCertificates]
) -> None:
    """Refuse to offer no TLS, or to stop asking for client certificates, while domains' records demand them."""
    demands = incoming.demands(state)
    without_tls = demands if level is not None and level.value == "none" else set()
    without_asking = demands - {Demand.ENCRYPT} if certificates is ClientCertificates.IGNORE else set()
    for name, value, lost in (("level", level, without_tls), ("client_certificates", certificates, without_asking)):
        if lost and value is not None:
            raise InvalidValue(
                f"{option}.{name}",
                value.value,
                f"would refuse all mail from domains whose records demand {' or '.join(sorted(lost))}",
                "leave it on, or take incoming out of these records first (smtp_domain_policy)",
            )


def check_shadowed(postfix: Postfix, state: State, plan: Plan) -> None:
    """Refuse a key that an operator's own table answers in another way: ours, which stands first, would hide it."""
    if not plan.changed:
        return
    for new in plan.files:
        parameter = TABLES.get(os.path.basename(new.path))
        if parameter in ("smtp_tls_policy_maps", "lmtp_tls_policy_maps", "transport_maps"):
            entries = parse_table(new.content)
            _refuse(
                (key, f"has an entry in {table} too, which says something else")
                for table, key, value in _answers(postfix, state, parameter, list(entries))
                if value != entries[key]
            )


def _refuse(found: Iterator[Tuple[str, str]]) -> None:
    for key, problem in found:
        raise InvalidValue("domains", key, problem, "take it out")


def _answers(postfix: Postfix, state: State, parameter: str, keys: Sequence[str]) -> Iterator[Tuple[str, str, str]]:
    """What an operator's own tables, as far as they are files of this node, answer: (table, key, value)."""
    theirs = re.sub(ours(state), "", state.effective.get(parameter, ""))
    last = split_list(state.explicit.get(SOURCES, ""))
    for item in split_list(theirs):
        if item in last:
            continue  # asked after ours, and meant to be
        kind, _colon, path = item.replace("proxy:", "", 1).partition(":")
        if kind in _INDEXED and any(map(_given.exists, (path, *(f"{path}{suffix}" for suffix in _INDEXES)))):
            yield from ((item, key, value) for key, value in postfix.ask_table(path, kind, keys))
