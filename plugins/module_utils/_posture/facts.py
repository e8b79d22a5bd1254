# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture as plain data, for return values."""

from __future__ import annotations

from typing import Dict, List, Optional, TypedDict, Union

from .posture import Posture
from .protections import AtLeast, AtMost, Protections, Switch, Unknown
from .ways import Hop, Way

Plain = Union[str, bool, List[str], None]


class PostureFacts(TypedDict):
    servers: Dict[str, Dict[str, Plain]]
    clients: Dict[str, Dict[str, Plain]]
    ways: Dict[str, Dict[str, object]]


def as_facts(posture: Posture) -> PostureFacts:
    """Servers, clients and ways, each with what protects mail there."""
    return {
        "servers": {name: _plain(values) for name, values in posture.servers.items()},
        "clients": {name: _plain(values) for name, values in posture.clients.items()},
        "ways": {name: _way(posture.ways[name], way) for name, way in posture.hops.items()},
    }


def _way(values: Protections, way: Way) -> Dict[str, object]:
    return {**_plain(values), "hops": [_hop(hop) for hop in way.hops]}


def _hop(hop: Hop) -> Dict[str, Optional[str]]:
    return {
        "transport": hop.transport,
        "next_hop": hop.next_hop,
        "by": hop.by,
        "policy": hop.policy.key,
    }


def _plain(values: Protections) -> Dict[str, Plain]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: object) -> Plain:
    if isinstance(value, (AtLeast, AtMost)):
        return sorted(value.items)
    if isinstance(value, Unknown):
        return sorted(value.sources)
    if isinstance(value, Switch):
        return value.value
    return None if value is None else str(value)
