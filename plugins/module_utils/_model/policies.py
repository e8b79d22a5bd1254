# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of this MTA as a server and as a client: pure data, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Collection, Dict, Optional, Tuple, TypeVar, Union

from .._edge import Options
from .._errors import InvalidValue
from . import words
from .levels import CipherGrade, ClientCertificates, ClientLevel, Protocol, ServerLevel, read_given

P = TypeVar("P", "ServerPolicy", "ClientPolicy")


@dataclass(frozen=True)
class ServerPolicy:
    """How this MTA protects mail that it receives. ``None`` means: not asked for, left alone."""

    level: Optional[ServerLevel] = None
    client_certificates: Optional[ClientCertificates] = None
    minimum_protocol: Optional[Protocol] = None
    ciphers: Optional[CipherGrade] = None
    exclude_ciphers: Optional[Tuple[str, ...]] = None
    ca_file: Optional[str] = None


@dataclass(frozen=True)
class ClientPolicy:
    """How this MTA protects mail that it sends. ``None`` means: not asked for, left alone."""

    level: Optional[ClientLevel] = None
    minimum_protocol: Optional[Protocol] = None
    ciphers: Optional[CipherGrade] = None
    exclude_ciphers: Optional[Tuple[str, ...]] = None
    ca_file: Optional[str] = None
    match: Optional[Tuple[str, ...]] = None
    connection_reuse: Optional[bool] = None
    tls_required_no: Optional[bool] = None
    """Whether a message may ask by its header not to be held back (RFC 8689 section 5)."""


def read_server_policy(options: Optional[Options]) -> ServerPolicy:
    """The option ``server`` of a task as a policy."""
    given = options or {}
    return ServerPolicy(
        level=read_given(ServerLevel, "server", "level", given),
        client_certificates=read_given(ClientCertificates, "server", "client_certificates", given),
        minimum_protocol=read_given(Protocol, "server", "minimum_protocol", given),
        ciphers=read_given(CipherGrade, "server", "ciphers", given),
        exclude_ciphers=_excluded("server", given),
        ca_file=_ca_file("server", given),
    )


def read_client_policy(options: Optional[Options]) -> ClientPolicy:
    """The option ``client`` of a task as a policy."""
    given = options or {}
    level = read_given(ClientLevel, "client", "level", given)
    match = given.get("match")
    return ClientPolicy(
        level=level,
        match=None if match is None else read_match("client.match", level, match),
        connection_reuse=given.get("connection_reuse"),
        tls_required_no=given.get("tls_required_no"),
        minimum_protocol=read_given(Protocol, "client", "minimum_protocol", given),
        ciphers=read_given(CipherGrade, "client", "ciphers", given),
        exclude_ciphers=_excluded("client", given),
        ca_file=_ca_file("client", given),
    )


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


def _excluded(side: str, given: Options) -> Optional[Tuple[str, ...]]:
    excluded = given.get("exclude_ciphers")
    return None if excluded is None else tuple(words.cipher_name(f"{side}.exclude_ciphers", item) for item in excluded)


def _ca_file(side: str, given: Options) -> Optional[str]:
    path = given.get("ca_file")
    return None if path is None else words.absolute_path(f"{side}.ca_file", path)
