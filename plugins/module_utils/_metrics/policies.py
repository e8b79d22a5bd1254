# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What protects mail, in the words of labels: the posture's. All that this program knows of levels and floors it has from here."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .._postfix.services import is_client
from .._postfix.state import Service, State
from .._postfix.values import is_yes
from .._posture import clients, listeners
from .._posture.configuration import Configuration
from .._posture.maps import Maps
from .._posture.protections import Protections
from .instance import commands, enabled
from .output import Metrics


class Policy(NamedTuple):
    level: str
    minimum_protocol: str
    """``other`` where the list of versions is one that Postfix cannot read."""
    client_certificates: str = ""


def server_policy(state: State, service: Optional[Service]) -> Policy:
    """What holds for a server; without one, what main.cf says."""
    found = listeners.protections(_configuration(state), service)
    return Policy(str(found["level"]), _floor(found), str(found.get("client_certificates", "ignore")))


def client_policy(state: State, service: Optional[Service]) -> Policy:
    """What holds for a client: smtp(8), or lmtp(8), whose parameters have the same names but for the first letters."""
    found = clients.protections(_configuration(state), service, clients.Policy())
    return Policy(str(found["level"]), _floor(found))


def in_wrapper_mode(state: State, service: Service) -> bool:
    """Whether TLS comes before everything else (postconf(5), smtpd_tls_wrappermode)."""
    return is_yes(state.found(service)["smtpd_tls_wrappermode"])


def is_silent(state: State, client: Service) -> bool:
    """Whether the log does not say if TLS was used (postconf(5), smtp_tls_loglevel)."""
    loglevel = state.found(client)[f"{client.command}_tls_loglevel"]
    return loglevel == "0" and client_policy(state, client).level != "none"


def tell_policies(state: State, metrics: Metrics) -> None:
    """main.cf's, and those of services whose -o overrides speak of TLS."""
    differing = [service for service in enabled(state) if any("_tls" in name for name in service.overrides)]
    for service in [None, *differing]:
        name = service.key if service else "main.cf"
        if not service or service.is_server:
            metrics.add("server_policy_info", 1, service=name, **server_policy(state, service)._asdict())
        if not service or is_client(service):
            level, floor, _certificates = client_policy(state, service)
            metrics.add("client_policy_info", 1, service=name, level=level, minimum_protocol=floor)


def _configuration(state: State) -> Configuration:
    return Configuration(state, Maps(commands(state.config_dir), {}))


def _floor(found: Protections) -> str:
    return str(found["minimum_protocol"] or "other") if "minimum_protocol" in found else ""
