# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which listeners a Postfix instance has, and where on this host they can be reached."""

from __future__ import annotations

from typing import List, Mapping, NamedTuple

from .._model.policies import ServerPolicy
from .._postfix.levels import read_server
from .._postfix.ports import port_number, split_name
from .._postfix.state import Service, State, split_list
from .connection import TEXT, Target


class Listener(NamedTuple):
    """An inet service that speaks SMTP, and what its effective configuration promises."""

    service: str
    target: Target
    policy: ServerPolicy
    state: State
    """As this service has it."""


def own_listeners(state: State) -> List[Listener]:
    """Every listener that answers SMTP clients, ``-o`` overrides applied."""
    return [
        listener_of(state, service)
        for service in state.services
        if service.is_listener and not is_disabled(state, service)
    ]


def listener_of(state: State, service: Service) -> Listener:
    """One of them; a sentence where this host does not know its port."""
    seen = state.seen_by(service)
    return Listener(service.key, _target(service, seen.effective), read_server(seen.effective), seen)


def is_disabled(state: State, service: Service) -> bool:
    """postconf(5), master_service_disable: ``inet``, ``submission/inet``, ``submission.inet``."""
    listed = {name.replace(".inet", "/inet") for name in split_list(state.effective.get("master_service_disable", ""))}
    return bool(listed & {service.kind, service.key})


def _target(service: Service, effective: Mapping[str, str]) -> Target:
    host, port = split_name(service.name)
    return Target(
        address=host or _address(effective),
        port=port_number(port),
        name=effective["myhostname"],
        implicit_tls=effective.get("smtpd_tls_wrappermode") == "yes",
        proxy_protocol=TEXT if effective.get(f"{service.command}_upstream_proxy_protocol") == "haproxy" else None,
    )


def _address(effective: Mapping[str, str]) -> str:
    """An address of this host on which Postfix listens: loopback where it does."""
    interfaces = split_list(effective.get("inet_interfaces", "all"))
    loopback = "::1" if effective.get("inet_protocols") == "ipv6" else "127.0.0.1"
    if any(word in ("all", "loopback-only", "localhost", loopback) for word in interfaces):
        return loopback
    return interfaces[0].strip("[]")
