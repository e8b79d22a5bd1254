# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a service of master.cf listens, by its name (master(5))."""

from __future__ import annotations

import socket
from typing import Optional, Tuple

from .._errors import PostfixError


def split_name(name: str) -> Tuple[Optional[str], str]:
    """``smtp``, ``10025``, ``127.0.0.1:10025`` and ``[::1]:25`` as (address, port) (master(5))."""
    host, colon, port = name.rpartition(":")
    return (host.strip("[]") or None, port) if colon else (None, name)


def port_number(port: str) -> int:
    try:
        return int(port) if port.isdigit() else socket.getservbyname(port, "tcp")
    except OSError:
        raise PostfixError(f"master.cf: {port} is no port that this host knows; write its number.") from None


def is_private(service: str) -> bool:
    """Whether a service, by its key, is nobody's but this host's: a socket, or a port of a loopback address. To one of type
    C(pass), postscreen(8) hands the network's clients."""
    name, _slash, kind = service.rpartition("/")
    return kind not in ("inet", "pass") or name.startswith(("127.", "[::1]", "localhost:"))


def public_port(service: str) -> Optional[int]:
    """The port at which the network reaches a service; ``None`` where it does not, or this host does not know the port."""
    name, _slash, kind = service.rpartition("/")
    if kind != "inet" or is_private(service):
        return None
    try:
        return port_number(split_name(name)[1])
    except PostfixError:
        return None
