# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which network addresses other programs hold: Postfix's master ends when it cannot have an address of master.cf."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
from typing import Iterator, List, NamedTuple, Optional, Set

from .._postfix.ports import port_number, split_name
from .._postfix.state import State, split_list
from .listeners import is_disabled

_TABLES = {"/proc/net/tcp": 4, "/proc/net/tcp6": 16}
_LISTEN = "0A"
_EVERYWHERE = {"0.0.0.0": "ipv4", "::": "ipv6"}  # noqa: S104 -- what others listen to; nothing is bound


class Socket(NamedTuple):
    address: str
    port: int
    inode: str


def taken(state: State, master: int) -> Iterator[str]:
    """Each inet service whose address a program has that ``master`` did not start, and that program.

    A program that this host does not let us look at is left out.
    """
    listening = list(_listening())
    for service in state.services:
        if service.kind == "inet" and not is_disabled(state, service):
            host, port = split_name(service.name)
            wanted = _addresses(state, host)
            for found in listening:
                same = found.port == port_number(port) and _collides(found.address, wanted)
                owner = _foreign_owner(found.inode, master) if same else None
                if owner is not None:
                    yield f"{service.key} at port {found.port} of {found.address} ({owner})"


def own_addresses() -> List[str]:
    """This host's addresses that others can reach it at: no loopback, no link-local ones."""
    found = [
        ipaddress.ip_address(text) for text in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", _said("/proc/net/fib_trie"))
    ]
    found += [ipaddress.IPv6Address(int(line.split()[0], 16)) for line in _said("/proc/net/if_inet6").splitlines()]
    return [str(a) for a in dict.fromkeys(found) if not (a.is_loopback or a.is_link_local)]


def _said(path: str) -> str:
    """What the kernel says of its network; nothing where it knows no such thing (proc(5))."""
    try:
        with open(path, encoding="ascii") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def _addresses(state: State, host: Optional[str]) -> Set[str]:
    """Where a service without a host of its own listens is said by inet_interfaces and inet_protocols."""
    names = [host] if host else split_list(state.effective["inet_interfaces"])
    protocols = split_list(state.effective["inet_protocols"])
    spoken = [everywhere for everywhere, protocol in _EVERYWHERE.items() if {"all", protocol} & set(protocols)]
    if "all" in names:
        return set(spoken)
    names = ["localhost" if name == "loopback-only" else name.strip("[]") for name in names]
    found: Set[str] = set()
    for name in names:
        try:
            found.update(str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        except OSError:  # Postfix says what is wrong with it
            continue
    return {address for address in found if _everywhere(address) in spoken}


def _everywhere(address: str) -> str:
    """The address that stands for all of the same family."""
    return "::" if ":" in address else "0.0.0.0"  # noqa: S104 -- as above


def _collides(theirs: str, ours: Set[str]) -> bool:
    """A program that listens to ``::`` has the IPv4 addresses too, unless it said otherwise (ipv6(7))."""
    everywhere = _everywhere(theirs)
    return (
        theirs in ours
        or everywhere in ours
        or theirs == "::"
        or (theirs == everywhere and any(_everywhere(a) == theirs for a in ours))
    )


def _listening() -> Iterator[Socket]:
    for path, size in _TABLES.items():
        for row in (line.split() for line in _said(path).splitlines()[1:]):
            if row[3] == _LISTEN:
                address, _colon, port = row[1].partition(":")
                yield Socket(_address(address, size), int(port, 16), row[9])


def _address(text: str, size: int) -> str:
    """The kernel writes an address as 32-bit words in the machine's byte order (proc(5))."""
    raw = b"".join(int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, 2 * size, 8))
    return str(ipaddress.ip_address(raw))


def _foreign_owner(inode: str, master: int) -> Optional[str]:
    """Who has a socket open, unless that is the master or one of its daemons, which share its session.

    A session that began outside of a container is 0 in it, as is the master that does not run.
    """
    wanted, owner = f"socket:[{inode}]", None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        folder = f"/proc/{pid}/fd"
        try:
            if any(os.readlink(os.path.join(folder, name)) == wanted for name in os.listdir(folder)):
                if master and os.getsid(int(pid)) == master:
                    return None
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as handle:
                    owner = f"{handle.read().strip()}, process {pid}"
        except OSError:  # gone, or not ours to see
            continue
    return owner
