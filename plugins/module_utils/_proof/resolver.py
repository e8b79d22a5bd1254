# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the resolver that Postfix asks validates DNSSEC: without that, there is no DANE (RFC 7672 section 2.2).

Nodes have no DNS library, and glibc's functions hide the answer's header; so the two questions are
asked here: a query is twelve octets and a name (RFC 1035 section 4.1), and of the answer the header tells enough.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import struct
from typing import List, NamedTuple, Optional

from .._edge import Arguments, Options
from .._errors import HardeningError
from .._model import words
from .._postfix.state import State, split_list

_NS, _IN, _OPT = 2, 1, 41
_NOERROR, _SERVFAIL, _NXDOMAIN = 0, 2, 3
_AD, _RD, _RCODE = 0x0020, 0x0100, 0x000F
_DO = 0x8000
"""RFC 3225: the client understands DNSSEC."""


class Names(NamedTuple):
    """What to ask to see whether a resolver validates."""

    signed: str = "."
    """A name in a signed zone. Postfix itself asks for the root (postconf(5), dnssec_probe)."""
    bogus: str = "dnssec-failed.org"
    """A name in a zone whose signatures are wrong: a validating resolver answers SERVFAIL."""


DNSSEC_ARGUMENTS: Arguments = {
    "type": "dict",
    "options": {name: {"type": "str", "default": default} for name, default in Names()._asdict().items()},
}


class Answer(NamedTuple):
    rcode: int
    authenticated: bool


def unmet(state: State, given: Optional[Options]) -> Optional[str]:
    """Why DANE would hold mail back, or protect nothing, on this node; ``given`` is the option ``dnssec_test``."""
    try:
        _check(state, Names(**given) if given else Names())
    except HardeningError as problem:
        return str(problem)
    return None


def _check(state: State, names: Names) -> None:
    lookup = state.effective["smtp_host_lookup"]
    if "dns" not in split_list(lookup):
        raise _refusal(f"smtp_host_lookup = {lookup} asks no DNS")
    for address in _resolvers(state):
        if not _is_loopback(address):
            raise _refusal(f"the resolver {address} is not on loopback, so its answers could be forged on the way")
        try:
            signed, bogus = ask(address, names.signed), ask(address, names.bogus)
        except OSError as problem:
            raise _refusal(f"the resolver {address} does not answer ({problem})") from None
        if signed.rcode not in (_NOERROR, _NXDOMAIN) or not signed.authenticated:
            raise _refusal(f"the resolver {address} does not vouch for the signed name {names.signed}")
        if bogus.rcode != _SERVFAIL:
            raise _refusal(
                f"the resolver {address} does not refuse (SERVFAIL) the name {names.bogus}, whose signatures are wrong"
            )


def ask(address: str, name: str, port: int = 53, timeout: float = 5.0) -> Answer:
    """The header of the answer to one question for NS records, asked twice at most."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    number = secrets.randbits(16)
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.connect((address, port))
        connection.settimeout(timeout)
        try:
            return _exchange(connection, number, name)
        except socket.timeout:
            return _exchange(connection, number, name)


def _exchange(connection: socket.socket, number: int, name: str) -> Answer:
    connection.send(_query(number, name))
    while True:
        reply = connection.recv(4096)
        if len(reply) >= 12 and struct.unpack("!H", reply[:2])[0] == number:
            flags = struct.unpack("!H", reply[2:4])[0]
            return Answer(flags & _RCODE, bool(flags & _AD))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise _refusal(f"resolv.conf names {address}, which is no address") from None


def _query(number: int, name: str) -> bytes:
    labels = words.domain_name("dnssec_test", name.rstrip(".")).encode().split(b".") if name != "." else []
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = struct.pack("!6H", number, _RD | _AD, 1, 0, 0, 1)
    return header + encoded + struct.pack("!2H", _NS, _IN) + b"\0" + struct.pack("!2HIH", _OPT, 1232, _DO, 0)


def _resolvers(state: State) -> List[str]:
    """Those that Postfix's client uses: in a chroot, those of the copy there."""
    smtp = state.service("smtp", "unix")
    chroot = state.effective["queue_directory"] if smtp and smtp.chroot in ("y", "-") else "/"
    if smtp and smtp.chroot == "-" and state.version >= (3, 0) and state.effective["compatibility_level"] != "0":
        chroot = "/"
    inside, outside = (_nameservers(root) for root in (chroot, "/"))
    if inside != outside:
        raise _refusal(
            f"Postfix's copy of resolv.conf in {chroot} names {', '.join(inside) or 'no resolver'} and the system "
            f"{', '.join(outside) or 'none'}; restart Postfix to renew the copy"
        )
    return inside


def _nameservers(root: str) -> List[str]:
    path = os.path.join(root, "etc", "resolv.conf")
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            rows = [line.split() for line in handle]
    except OSError:
        return ["127.0.0.1"]  # resolv.conf(5): the default
    return [_address(row) for row in rows if len(row) > 1 and row[0] == "nameserver"] or ["127.0.0.1"]


def _address(row: List[str]) -> str:
    return row[1].partition("%")[0]


def _refusal(reason: str) -> HardeningError:
    return HardeningError(
        f"Level dane needs a resolver on loopback that validates DNSSEC, and {reason}. Install one (role relay: "
        "relay_resolver: unbound), or name other names to ask in dnssec_test."
    )
