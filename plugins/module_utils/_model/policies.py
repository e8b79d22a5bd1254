# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of this MTA as a server and as a client: pure data, checked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Collection, Dict, Optional, Tuple, TypeVar, Union

from .._edge import Options
from .._errors import InvalidValue
from . import words
from .levels import CipherGrade, ClientCertificates, ClientLevel, Protocol, ServerLevel
from .options import items, path, read_options, switch, word

P = TypeVar("P", "ServerPolicy", "ClientPolicy")


@dataclass(frozen=True)
class ServerPolicy:
    """How this MTA protects mail that it receives. ``None`` means: not asked for, left alone."""

    level: Optional[ServerLevel] = field(default=None, metadata=word(ServerLevel))
    client_certificates: Optional[ClientCertificates] = field(default=None, metadata=word(ClientCertificates))
    minimum_protocol: Optional[Protocol] = field(default=None, metadata=word(Protocol))
    ciphers: Optional[CipherGrade] = field(default=None, metadata=word(CipherGrade))
    exclude_ciphers: Optional[Tuple[str, ...]] = field(default=None, metadata=items(words.cipher_name))
    ca_file: Optional[str] = field(default=None, metadata=path(words.absolute_path))


@dataclass(frozen=True)
class ClientPolicy:
    """How this MTA protects mail that it sends. ``None`` means: not asked for, left alone."""

    level: Optional[ClientLevel] = field(default=None, metadata=word(ClientLevel))
    minimum_protocol: Optional[Protocol] = field(default=None, metadata=word(Protocol))
    ciphers: Optional[CipherGrade] = field(default=None, metadata=word(CipherGrade))
    exclude_ciphers: Optional[Tuple[str, ...]] = field(default=None, metadata=items(words.cipher_name))
    ca_file: Optional[str] = field(default=None, metadata=path(words.absolute_path))
    match: Optional[Tuple[str, ...]] = field(default=None, metadata=items(lambda _option, item: str(item)))
    connection_reuse: Optional[bool] = field(default=None, metadata=switch("tls_connection_reuse"))
    tls_required_no: Optional[bool] = field(default=None, metadata=switch())
    """Whether a message may ask by its header not to be held back (RFC 8689 section 5)."""


def read_server_policy(options: Optional[Options]) -> ServerPolicy:
    """The option ``server`` of a task as a policy."""
    return ServerPolicy(**read_options(ServerPolicy, "server", options))


def read_client_policy(options: Optional[Options]) -> ClientPolicy:
    """The option ``client`` of a task as a policy."""
    asked = ClientPolicy(**read_options(ClientPolicy, "client", options))
    if asked.match is None:
        return asked
    return replace(asked, match=read_match("client.match", asked.level, asked.match))


def read_match(option: str, level: Optional[ClientLevel], match: Collection[object]) -> Tuple[str, ...]:
    """Names or fingerprints that a peer's certificate must match (postconf(5), smtp_tls_policy_maps).

    At level ``fingerprint`` they are SHA-256 fingerprints; elsewhere DNS names, ``.domain`` for
    all names below it, or one of Postfix's words ``hostname``, ``nexthop``, ``dot-nexthop``.
    """
    if level is ClientLevel.FINGERPRINT:
        return tuple(words.fingerprint(option, item) for item in match)
    if level is None and match and all(":" in str(item) for item in match):
        return read_match(option, ClientLevel.FINGERPRINT, match)
    special = ("hostname", "nexthop", "dot-nexthop")
    return tuple(str(item) if item in special else words.domain_or_below(option, item) for item in match)


def overlay(base: P, over: P) -> P:
    """``base`` with every value that ``over`` asks for in its place."""
    return replace(base, **{f.name: getattr(over, f.name) for f in fields(over) if getattr(over, f.name) is not None})


def check_server(policy: ServerPolicy) -> None:
    """Refuse combinations that Postfix would ignore in silence. Expects a complete policy."""
    if policy.client_certificates is ClientCertificates.REQUIRE:
        if policy.level is not ServerLevel.ENCRYPT:
            raise InvalidValue(
                "server.client_certificates",
                policy.client_certificates.value,
                f"has no effect while server.level is {str(policy.level)!r}",
                "set server.level: encrypt, or use client_certificates: request (postconf(5), smtpd_tls_req_ccert)",
            )
        if not policy.ca_file:
            raise InvalidValue(
                "server.ca_file",
                policy.ca_file,
                "names no CA that could have issued the required client certificates",
                "set it to the PEM file of the fleet's CA",
            )


def check_client(policy: ClientPolicy) -> None:
    """Refuse combinations that would defer all mail or verify nothing. Expects a complete policy."""
    level = policy.level
    if level is not None and level.trusts_a_ca and not policy.ca_file:
        raise InvalidValue(
            "client.ca_file",
            policy.ca_file,
            f"names no CA while client.level is {level.value!r}, so every message would be deferred",
            "set it to the PEM file of the CA that issued the peers' certificates",
        )
    if level is ClientLevel.FINGERPRINT and not policy.match:
        raise InvalidValue(
            "client.match",
            list(policy.match or ()),
            "lists no fingerprint while client.level is 'fingerprint', so every message would be deferred",
            "list the SHA-256 fingerprints of the peers' certificates or public keys",
        )


def check_match(level: Optional[ClientLevel], match: Tuple[str, ...]) -> None:
    """Refuse names or fingerprints that Postfix would not look at."""
    if match and not (level and level.looks_at_match):
        raise InvalidValue(
            "client.match",
            list(match),
            f"is not looked at when client.level is {str(level)!r}",
            "set client.level: secure, verify or fingerprint, or leave match out",
        )
    read_match("client.match", level, match)


def as_facts(policy: Union[ServerPolicy, ClientPolicy]) -> Dict[str, object]:
    """A policy as plain data for return values."""
    return {f.name: _plain(getattr(policy, f.name)) for f in fields(policy)}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return value if value is None or isinstance(value, bool) else str(value)
