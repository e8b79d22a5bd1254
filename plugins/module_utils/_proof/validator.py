# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether resolvers validate DNSSEC on this host: only then may anybody here believe their AD bit (RFC 7672 section 2.1).

Nodes have no DNS library, and glibc's functions hide the answer's header; so the few questions are asked here: a query is
twelve octets and a name (RFC 1035 section 4.1), and of the answer the header tells enough. Modules, metrics, the role relay
and its service of policies all ask this.
"""

from __future__ import annotations

import argparse
import ipaddress
import secrets
import socket
import struct
import sys
from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence

from .._errors import HardeningError
from .._model import words

RESOLV_CONF = "/etc/resolv.conf"
_NS, _TXT, _OPT = 2, 16, 41
_IN, _CHAOS = 1, 3
_NOERROR, _SERVFAIL, _NXDOMAIN = 0, 2, 3
_AD, _RD, _RCODE = 0x0020, 0x0100, 0x000F
_DO = 0x8000
"""RFC 3225: the client understands DNSSEC."""
PAYLOAD = 1232
"""Octets of an answer by UDP that no path has to part (RFC 9715)."""
_FORWARDERS = {
    "127.0.0.11": "Docker's, which",
    "127.0.0.54": "systemd-resolved's proxy (systemd-resolved.service(8)), which",
}
"""On loopback, and passing on the AD bit of others."""


class Names(NamedTuple):
    """What to ask to see whether a resolver validates."""

    signed: str = "."
    """A name in a signed zone. Postfix itself asks for the root (postconf(5), dnssec_probe)."""
    bogus: str = "dnssec-failed.org"
    """A name in a zone whose signatures are wrong: a validating resolver answers SERVFAIL."""


class Answer(NamedTuple):
    rcode: int
    authenticated: bool


def nameservers(path: str) -> List[str]:
    """Whom a program asks that reads this file as resolv.conf(5) says; an OSError where it cannot be read."""
    return _named(path) or ["127.0.0.1"]


def _named(path: str) -> List[str]:
    with open(path, encoding="utf-8", errors="replace") as handle:
        rows = [line.split() for line in handle]
    return [row[1].partition("%")[0] for row in rows if len(row) > 1 and row[0] == "nameserver"]


def of_host(path: str = RESOLV_CONF) -> List[str]:
    """Whom this host asks, with a file or without."""
    try:
        return nameservers(path)
    except FileNotFoundError:
        return ["127.0.0.1"]  # resolv.conf(5): the default


def why_not(addresses: Iterable[str], names: Names) -> Optional[str]:
    """The first reason not to believe what one of these resolvers says is secure; ``None`` where there is none."""
    return next((reason for address in addresses for reason in _doubts(address, names)), None)


def _doubts(address: str, names: Names) -> Iterator[str]:
    if not _is_loopback(address):
        yield f"the resolver {address} is not on loopback, so its answers could be forged on the way"
        return
    if address in _FORWARDERS:
        yield f"the resolver {address} is {_FORWARDERS[address]} verifies nothing itself and passes on what others say"
        return
    try:
        signed, bogus = ask(address, names.signed), ask(address, names.bogus)
        dnsmasq = is_dnsmasq(address)
    except OSError as problem:
        yield f"the resolver {address} does not answer ({problem})"
        return
    if signed.rcode not in (_NOERROR, _NXDOMAIN) or not signed.authenticated:
        yield f"the resolver {address} does not vouch for the signed name {names.signed}"
    if bogus.rcode != _SERVFAIL:
        yield f"the resolver {address} does not refuse (SERVFAIL) the name {names.bogus}, whose signatures are wrong"
    if dnsmasq:
        yield (
            f"the resolver {address} is dnsmasq, which may pass on what others say of themselves (proxy-dnssec), "
            "and nobody can tell from here"
        )


def why_silent(path: str) -> Optional[str]:
    """Which resolver of this host, named by a file, says nothing at all; ``None`` where each says something."""
    try:
        own = [address for address in _named(path) if _is_loopback(address)]
    except FileNotFoundError:
        return None
    for address in own:
        try:
            ask(address, ".")
        except OSError as problem:
            return f"the resolver {address} does not answer ({problem})"
    return None


def why_unanswered(address: str, names: Iterable[str]) -> Optional[str]:
    """Why an ordinary name is not to be had of a resolver; ``None`` where each is."""
    for name in names:
        try:
            answer = ask(address, name)
        except OSError as problem:
            return f"the resolver {address} does not answer ({problem})"
        if answer.rcode != _NOERROR:
            return f"the resolver {address} has no answer for the name {name} (RCODE {answer.rcode})"
    return None


def ask(address: str, name: str, port: int = 53, timeout: float = 5.0) -> Answer:
    """The header of the answer to one question for NS records, asked twice at most."""
    reply = _asked(address, port, _query(name), timeout)
    flags = struct.unpack("!H", reply[2:4])[0]
    return Answer(flags & _RCODE, bool(flags & _AD))


def is_dnsmasq(address: str, port: int = 53, timeout: float = 1.0) -> bool:
    """Whether a resolver says that of itself (RFC 4892 section 2.1). Silence says nothing."""
    labels = b"\7version\4bind\0"
    try:
        return b"dnsmasq" in _asked(address, port, _header(_RD, 0) + labels + struct.pack("!2H", _TXT, _CHAOS), timeout)
    except socket.timeout:
        return False


def _asked(address: str, port: int, query: bytes, timeout: float) -> bytes:
    """The answer to a query, which is sent twice at most."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.connect((address, port))
        connection.settimeout(timeout)
        try:
            return _exchange(connection, query)
        except socket.timeout:
            return _exchange(connection, query)


def _exchange(connection: socket.socket, query: bytes) -> bytes:
    connection.send(query)
    while True:
        reply = connection.recv(4096)
        if len(reply) >= 12 and reply[:2] == query[:2]:
            return reply


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _query(name: str) -> bytes:
    labels = words.domain_name("dnssec_test", name.rstrip(".")).encode().split(b".") if name != "." else []
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    opt = b"\0" + struct.pack("!2HIH", _OPT, PAYLOAD, _DO, 0)
    return _header(_RD | _AD, 1) + encoded + struct.pack("!2H", _NS, _IN) + opt


def _header(flags: int, additional: int) -> bytes:
    return struct.pack("!6H", secrets.randbits(16), flags, 1, 0, 0, additional)


def main(argv: Sequence[str]) -> int:
    """What the role relay starts on a node: says why not, and fails."""
    parser = argparse.ArgumentParser(description="Whether resolvers answer, and vouch for what is signed.")
    parser.add_argument("--resolver", help="the address of one, instead of those of resolv.conf")
    parser.add_argument("--resolv-conf", default=RESOLV_CONF)
    parser.add_argument("--signed", default=Names().signed)
    parser.add_argument("--bogus", default=Names().bogus)
    parser.add_argument("--ordinary", action="append", default=[], help="a name that must be answered")
    given = parser.parse_args(argv[1:])
    try:
        addresses = [given.resolver] if given.resolver else of_host(given.resolv_conf)
        found = [why_not(addresses, Names(given.signed, given.bogus))]
        found += [why_unanswered(address, given.ordinary) for address in addresses]
    except (OSError, HardeningError) as problem:
        found = [str(problem)]
    reasons = [reason for reason in found if reason]
    sys.stdout.write("".join(f"{reason}\n" for reason in reasons[:1]))
    return 1 if reasons else 0
