# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where mail for a domain goes, instead of where DNS says (transport(5)): pure data, checked."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Optional

from .._errors import InvalidValue
from . import words

_ROUTE = re.compile(
    r"(?:(?P<transport>[^\W_][\w.-]*):)?"
    r"(?:(?P<socket>unix:[^\s:]+)|(?:\[(?P<literal>[^\[\]]+)\]|(?P<name>(?!\d+\Z)[^\[\]:/]+))(?::(?P<port>[0-9]{1,5}))?)\Z",
    re.ASCII,
)
STARTTLS, IMPLICIT_TLS = "smtp", "smtps"
"""The transports, both services of master.cf, of hosts that speak TLS after STARTTLS, and from the first byte."""
_SUBMISSIONS = "465"
"""The port where TLS comes first (RFC 8314 section 7.3)."""


@dataclass(frozen=True)
class Route:
    """A transport and its next hop."""

    transport: str
    """A client service of master.cf."""
    next_hop: str
    """``host``, ``[host]``, ``[host]:port`` or ``unix:path``, verbatim."""

    @property
    def implicit_tls(self) -> bool:
        return self.transport == IMPLICIT_TLS

    @property
    def is_socket(self) -> bool:
        return self.next_hop.startswith("unix:")

    @property
    def policy_key(self) -> str:
        """What smtp_tls_policy_maps, or lmtp_tls_policy_maps, is asked for."""
        return self.next_hop[len("unix:") :] if self.is_socket else self.next_hop

    @property
    def host(self) -> str:
        """The next hop without brackets and port."""
        return re.sub(r"[\[\]]|(?<=\]):\d+\Z|^([^\[\]:]+):\d+\Z", r"\1", self.next_hop)

    def __str__(self) -> str:
        return f"{self.transport}:{self.next_hop}"


def read_route(option: str, value: object, implicit_tls: Optional[bool] = None) -> Route:
    """``host``, ``host:port``, ``[host]`` or ``[host]:port``, after an optional ``transport:``.

    ``implicit_tls`` says whether TLS comes first there; where that is left open, the port does, or the transport that is named.
    """
    found = _ROUTE.match(str(value))
    if not found or (found["socket"] and found["transport"] in (None, STARTTLS, IMPLICIT_TLS)):
        raise InvalidValue(
            option,
            value,
            "is not a next hop",
            "write [host]:port, [host], or a domain whose MX to ask, as in [mx.partner.example]:25, or a socket, as in "
            "lmtp:unix:private/dovecot-lmtp",
        )
    port = found["port"]
    if port is not None and not 0 < int(port) < 65536:
        raise InvalidValue(option, value, f"has the port {port}", "use a port from 1 to 65535")
    if found["name"] and re.match(r"[0-9.]+\Z", found["name"]):
        raise InvalidValue(option, value, "is an address without brackets", f"write [{found['name']}]")
    transport = _transport(option, value, found["transport"], port, implicit_tls)
    if found["socket"]:
        return Route(transport, found["socket"])
    host = f"[{_address(option, found['literal'])}]" if found["literal"] else words.domain_name(option, found["name"])
    return Route(transport, host + (f":{port}" if port else ""))


def _transport(option: str, value: object, stated: Optional[str], port: Optional[str], implicit: Optional[bool]) -> str:
    if stated in (None, STARTTLS):
        first = implicit if implicit is not None else port == _SUBMISSIONS
        return IMPLICIT_TLS if first else STARTTLS
    if implicit is not None and implicit != (stated == IMPLICIT_TLS):
        raise InvalidValue(
            option,
            value,
            f"names the transport {stated} beside implicit_tls: {str(implicit).lower()}",
            "leave one of them out: master.cf says of a transport whether TLS comes first (smtp_tls_wrappermode)",
        )
    return str(stated)


def _address(option: str, text: str) -> str:
    literal = text[5:] if text.lower().startswith("ipv6:") else text
    try:
        if "%" in literal:
            raise ValueError("a zone index, which has no meaning on another host")
        address = ipaddress.ip_address(literal)
    except ValueError:
        return words.domain_name(option, text)
    return f"ipv6:{address}" if address.version == 6 else str(address)
