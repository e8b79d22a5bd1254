# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Protection per service: ``-o`` overrides in master.cf win over main.cf (master(5))."""

from __future__ import annotations

from dataclasses import fields
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from .._errors import HardeningError, InvalidValue
from .._model.levels import Ordered, ServerLevel
from .._model.policies import ClientPolicy, ServerPolicy
from .._model.services import ServicePolicy
from .levels import Parameters, client_parameters, read_client, read_server, server_parameters
from .plan import Plan
from .state import Service, State

Policy = Union[ServerPolicy, ClientPolicy]

_REPORTING = ("loglevel", "received_header", "fingerprint_digest")
_TLSMGR = ("session_cache", "session_cache_database", "session_cache_timeout")


def is_client(service: Service) -> bool:
    """Whether it sends mail by SMTP: its ``smtp_*`` parameters count. (lmtp has its own.)"""
    return service.command == "smtp"


def read_policy(service: Service, effective: Mapping[str, str], overrides: Mapping[str, str]) -> Policy:
    """What holds for one service."""
    found = {**effective, **overrides}
    return read_client(found) if is_client(service) else read_server(found)


def offering_tls(state: State) -> List[str]:
    """The listeners that show a certificate."""
    listeners = (s for s in state.services if s.is_listener)
    return [s.key for s in listeners if read_policy(s, state.found(s), s.overrides).level is not ServerLevel.NONE]


def service_overrides(state: State, wanted: Sequence[ServicePolicy]) -> Parameters:
    """The overrides that bring services in line, as ``service/type/name``."""
    made: Parameters = {}
    for policy in wanted:
        service = _find(state, policy)
        made.update((f"{service.key}/{name}", value) for name, value in _parameters(state, service, policy))
    return made


def check_services(
    state: State, plan: Plan, asked: Tuple[ServerPolicy, ClientPolicy], services: Sequence[ServicePolicy]
) -> None:
    """Refuse a change that a service of master.cf would undermine without being named in it."""
    effective = plan.effective_after(state)
    found: Dict[str, List[Shortcoming]] = {}
    for service in _protected(state):
        overrides = plan.overrides_after(service)
        named = next((s for s in services if s.name == service.key), None)
        if _tls(overrides):
            wish = asked[1] if is_client(service) else asked[0]
            short = list(_shortcomings(read_policy(service, effective, overrides), wish, named))
            if short:
                found[service.key] = short
    if found:
        problems = "; ".join(f"{key} has {item.problem}" for key, short in found.items() for item in short)
        raise HardeningError(
            f"master.cf: -o overrides undermine what is asked for: {problems}. {' '.join(_remedies(found))}"
        )


def _remedies(found: Mapping[str, Sequence[Shortcoming]]) -> Iterator[str]:
    """How a task says that this is meant, and what it cannot say."""
    entries, other = [], []
    for key, short in found.items():
        stated = {item.option: item.value for item in short if item.option}
        if stated:
            entries.append(
                f"{{{', '.join(f'{name}: {value}' for name, value in {'name': _in_yaml(key), **stated}.items())}}}"
            )
        other += [f"{item.parameter} of {key}" for item in short if not item.option]
    if entries:
        yield f"Bring these services in line with the option services, or state there that they differ: services: [{', '.join(entries)}]."
    if other:
        yield f"Take out of master.cf: {', '.join(other)}."


def ineffective(state: State) -> Iterator[str]:
    """Overrides that Postfix ignores: TLS session caches belong to tlsmgr alone (tlsmgr(8))."""
    for service in state.services:
        for name in service.overrides:
            if service.command != "tlsmgr" and name.endswith(_TLSMGR) and "_tls_" in name:
                yield (
                    f"master.cf: {service.key} overrides {name}, which has no effect there: "
                    "the session cache belongs to tlsmgr(8); set it in main.cf."
                )


def _tls(overrides: Mapping[str, str]) -> bool:
    """Whether any of them speaks of TLS."""
    return any("_tls" in name for name in overrides)


def _protected(state: State) -> List[Service]:
    return [service for service in state.services if service.is_server or is_client(service)]


def _in_yaml(name: str) -> str:
    """An address of IPv6 stands in brackets, which YAML would take for a list."""
    return f'"{name}"' if "[" in name else name


class Shortcoming(NamedTuple):
    """One value of a service that falls short of what the task asks."""

    problem: str
    option: Optional[str]
    """By which option of C(services) a task says that this is meant; some it cannot say."""
    value: str
    parameter: str


def _shortcomings(have: Policy, asked: Policy, named: Optional[ServicePolicy]) -> Iterator[Shortcoming]:
    """Where a service falls short of what the task asks, unless the task itself says so."""
    stateable = {item.name for item in fields(ServicePolicy)}
    for item in fields(asked):
        name, value = item.name, getattr(asked, item.name)
        option = "level" if name in ("match", "ca_file") else name
        stated = named is not None and getattr(named, option, None)
        there = getattr(have, name)
        if value is None or stated or (have.level is not None and have.level.value == "none" and name != "level"):
            continue
        if _falls_short(name, there, value):
            said = _word(have.level if option == "level" else there)
            side = "smtp" if isinstance(asked, ClientPolicy) else "smtpd"
            yield Shortcoming(
                f"{name} {_word(there) or 'not set'} instead of {_word(value)}",
                option if option in stateable and said else None,
                said,
                f"{side}_tls_{name}",
            )


def _falls_short(name: str, have: object, asked: object) -> bool:
    if isinstance(asked, bool):
        return False  # a switch protects nothing by itself
    if name == "exclude_ciphers" and isinstance(asked, tuple):
        return not set(asked) <= set(have if isinstance(have, tuple) else ())
    if isinstance(asked, Ordered):
        return not isinstance(have, Ordered) or have.is_weaker_than(asked)
    return bool(asked) and have != asked  # a CA file, names to match


def _word(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str("" if value is None else value)


def _find(state: State, policy: ServicePolicy) -> Service:
    service = next((s for s in _protected(state) if s.key == policy.name), None)
    if service is None:
        known = ", ".join(s.key for s in _protected(state))
        raise InvalidValue("services", policy.name, "speaks no SMTP in master.cf", f"name one of {known}")
    return service


def _parameters(state: State, service: Service, policy: ServicePolicy) -> Iterator[Tuple[str, Optional[str]]]:
    option = f"services[{policy.name}]"
    if is_client(service):
        for name in ("client_certificates", "wrapper_mode"):
            if getattr(policy, name) is not None:
                raise InvalidValue(
                    f"{option}.{name}",
                    str(getattr(policy, name)),
                    f"is for servers, and {service.key} is a client",
                    "leave it out",
                )
        wanted = client_parameters(ClientPolicy(policy.level, policy.minimum_protocol), state.version)
    else:
        level = ServerLevel.read(f"{option}.level", policy.level.value) if policy.level else None
        wanted = server_parameters(
            ServerPolicy(level, policy.client_certificates, policy.minimum_protocol), state.version
        )
        if policy.wrapper_mode is not None:
            wanted["smtpd_tls_wrappermode"] = "yes" if policy.wrapper_mode else "no"
    return ((name, value) for name, value in wanted.items() if not name.endswith(_REPORTING))
