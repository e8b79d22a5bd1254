# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose mail is relayed to anywhere (C(mynetworks)): never everybody's, and a public range only where that is meant."""

from __future__ import annotations

import ipaddress
from typing import FrozenSet, Iterable, Optional, Union

from .._errors import InvalidValue

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def check_networks(option: str, value: Optional[str], confirmed: Iterable[object]) -> None:
    """Refuse an open relay. A single address is no range; names of files and tables are for others to check."""
    meant = [network for network in map(read_network, map(str, confirmed)) if network is not None]
    for item in (value or "").replace(",", " ").split():
        pattern = item.lstrip("!")
        network = read_network(pattern)
        if (len(item) - len(pattern)) % 2:  # each of them turns the meaning round (match_list.c in Postfix)
            continue
        if pattern.startswith("static:") or "{" in pattern or "$" in pattern:
            raise InvalidValue(
                option, item, "hides whom it lets relay", "write the networks themselves, or name a file"
            )
        if network is None:
            continue
        if network.prefixlen == 0:
            raise InvalidValue(option, item, "lets everybody relay", "list the networks of your own hosts")
        if ":" in pattern and not pattern.startswith("["):
            raise InvalidValue(
                option,
                item,
                "would be the name of a table to Postfix",
                "put the IPv6 address in [], as in [fd00:1::]/32",
            )
        if network.prefixlen == network.max_prefixlen:
            continue
        if not is_own(network) and not any(_within(network, other) for other in meant):
            raise InvalidValue(
                option,
                item,
                "is a public range, whose every host could relay to anywhere",
                "list the addresses of your own hosts, or confirm the range in public_networks",
            )


def public_networks(value: str) -> FrozenSet[str]:
    """Those of a list that hosts of others may be in: no range of one's own, no single address, no file or table."""
    networks = map(read_network, value.replace(",", " ").split())
    return frozenset(str(n) for n in networks if n is not None and n.prefixlen < n.max_prefixlen and not is_own(n))


def are_written_out(value: object) -> bool:
    """Whether a value of C(mynetworks) is a list of networks, which tells whom it lets relay, and names no file or table."""
    items = value if isinstance(value, list) else str(value or "").replace(",", " ").split()
    return bool(items) and all(read_network(str(item).lstrip("!")) is not None for item in items)


def read_network(item: str) -> Optional[Network]:
    """``192.0.2.0/24``, ``[2001:db8::]/32``, ``192.0.2.1`` (postconf(5), mynetworks); ``None`` for anything else.

    IPv4 in the clothes of IPv6 is IPv4: Debian writes loopback as ``[::ffff:127.0.0.0]/104`` too (RFC 4291 section 2.5.5.2).
    """
    try:
        network = ipaddress.ip_network(item.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


_OWN = [
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8 ::1/128 "  # loopback
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 "  # RFC 1918
        "100.64.0.0/10 169.254.0.0/16 "  # RFC 6598, RFC 3927
        "fc00::/7 fe80::/10"  # RFC 4193, RFC 4291
    ).split()
]
"""What nobody on the Internet can send from."""


def is_own(network: Network) -> bool:
    """Whether nobody on the Internet can send from there."""
    return any(_within(network, own) for own in _OWN)


def _within(network: Network, other: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and network.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and network.subnet_of(other)
