# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From where a listener is looked at: not each treats all clients alike, and the proof is a client on the host itself.

Hosts may be let in by address, be offered less (postconf(5), smtpd_discard_ehlo_keyword_address_maps), or be sent away when they
come too often (smtpd_client_connection_rate_limit and others, which a proof uses up soon).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Iterator, List, Mapping, Optional

from .._postfix.state import split_list
from .addresses import own_addresses
from .connection import Target

LOOPBACK = "127.0.0.0/8"
"""All of it is this host (RFC 1122 section 3.2.1.3), and clients are counted by single addresses."""

MOST = 3
"""Other addresses of this host from which a listener is asked."""

_RATE = re.compile(r"smtpd_client_\w+_rate_limit\Z")
_EXCEPTIONS = "smtpd_client_event_limit_exceptions"

NO_TLS = re.compile(r"454 4\.\d\.0 TLS not available")
"""How smtpd(8) answers STARTTLS where its certificate, its CAs or tlsmgr(8) are missing (smtpd.c, starttls_cmd)."""
TURNED_AWAY = re.compile(rf"(?!{NO_TLS.pattern})(?:5\d\d |4\d\d 4\.7\.)")
"""A reply that is meant for the client, not one about a server that is in trouble (RFC 3463 section 3.8)."""


def vantages(target: Target, effective: Mapping[str, str]) -> Iterator[Target]:
    """The same listener, asked from one place after the other. Where connections are counted, each comes from another address,
    so that clients on this host do not pay for the proof."""
    family = _family(target.address)
    others = [address for address in own_addresses() if _family(address) == family and address != target.address]
    sources: List[Optional[str]] = [None, *others[:MOST]]
    if family == 4:
        sources.insert(0 if _counts(effective) else len(sources), LOOPBACK)
    return (replace(target, source=source) for source in sources)


def _family(address: str) -> Optional[int]:
    """``None`` for a host's name."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        return None


def _counts(effective: Mapping[str, str]) -> bool:
    """Whether a client on this host may not come as often as it likes."""
    limits = {value for name, value in effective.items() if _RATE.match(name)}
    spared = any(item.startswith("127.") for item in split_list(effective.get(_EXCEPTIONS, "")))
    return bool(limits - {"0", ""}) and not spared
