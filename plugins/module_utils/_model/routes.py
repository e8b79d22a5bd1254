# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where mail for a domain goes, instead of where DNS says (transport(5)): pure data, checked."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from .._errors import InvalidValue
from . import words

_ROUTE = re.compile(
    r"(?:(?P<transport>smtp|lmtp):)?(?:\[(?P<literal>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?\Z"
)


@dataclass(frozen=True)
class Route:
    """A transport and its next hop."""

    transport: str
    next_hop: str
    """``host``, ``[host]`` or ``[host]:port``, verbatim: the key of smtp_tls_policy_maps."""

    @property
    def host(self) -> str:
        """The next hop without brackets and port."""
        return re.sub(r"[\[\]]|(?<=\]):\d+\Z|^([^\[\]:]+):\d+\Z", r"\1", self.next_hop)

    def __str__(self) -> str:
        return f"{self.transport}:{self.next_hop}"


def read_route(option: str, value: object) -> Route:
    """``host``, ``host:port``, ``[host]`` or ``[host]:port``, after an optional ``smtp:`` or ``lmtp:``."""
    found = _ROUTE.match(str(value))
    if not found:
        raise InvalidValue(
            option,
            value,
            "is not a next hop",
            "write [host]:port, [host], or a domain whose MX to ask, as in [mx.partner.example]:25",
        )
    port = found["port"]
    if port is not None and not 0 < int(port) < 65536:
        raise InvalidValue(option, value, f"has the port {port}", "use a port from 1 to 65535")
    if found["name"] and re.match(r"[0-9.]+\Z", found["name"]):
        raise InvalidValue(option, value, "is an address without brackets", f"write [{found['name']}]")
    host = f"[{_address(option, found['literal'])}]" if found["literal"] else words.domain_name(option, found["name"])
    return Route(found["transport"] or "smtp", host + (f":{port}" if port else ""))


def _address(option: str, text: str) -> str:
    literal = text[5:] if text.lower().startswith("ipv6:") else text
    try:
        if "%" in literal:
            raise ValueError("a zone index, which has no meaning on another host")
        address = ipaddress.ip_address(literal)
    except ValueError:
        return words.domain_name(option, text)
    return f"ipv6:{address}" if address.version == 6 else str(address)
