# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a client service of master.cf protects what it sends, by itself and by the policy for a next hop (smtp_tls_policy.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Tuple

from .._model.levels import CipherGrade, ClientLevel
from .._model.words import domains_above
from .._postfix.levels import DANE, MATCH_PARAMETER, excluded_ciphers, governing_prefix
from .._postfix.state import Service, split_list
from .._postfix.tls_required import demands
from .._postfix.values import admitted, client_level, colon_list, is_yes, known, lowest
from .configuration import Configuration
from .maps import has_patterns, is_by_pattern, is_kept_by_others, split_maps
from .passwords import shown_by_client
from .protections import AtLeast, AtMost, Names, Protection, Switch, Unknown
from .starting import can_start, is_digest
from .trust import trusted

TLS_REQUIRED_SINCE = (3, 10)
"""RELEASE_NOTES of Postfix 3.10: tls_required_enable, yes by default."""
BRACES_SINCE = (3, 10)
"""HISTORY of Postfix: entries of smtp_tls_policy_maps take C({ name = value }), which came with TLSRPT."""
ODD_DIGESTS_SINCE = (3, 6)
"""Before, one digest in tls_dane_digests that Postfix does not know, or knows already, was the end of DANE (dane_init in tls_dane.c,
as seen on 3.5.25; 3.7.11 goes on without it)."""
_TLSA_DIGESTS = frozenset(["sha256", "sha512"])
_HOSTNAME = re.compile(r"(?=.{1,255}\Z)(?=[\d.]*[^\d.])\w(?:[-\w.]*\w)?\Z")
"""In whatever script, but not of digits alone (valid_utf8_hostname, valid_hostname.c)."""


@dataclass(frozen=True)
class Policy:
    """What an entry of smtp_tls_policy_maps says; what it does not say is left to main.cf."""

    key: Optional[str] = None
    """Under which it was found; ``None`` where no table speaks of the next hop."""
    level: Optional[ClientLevel] = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    valid: bool = True
    """Postfix sends nothing to a next hop whose entry it cannot read."""
    unknown: Tuple[str, ...] = ()

    @property
    def said(self) -> Tuple[object, ...]:
        """All but the key: what protects mail depends on nothing else."""
        return self.level, tuple(sorted(self.attributes.items())), self.valid, self.unknown

    def __hash__(self) -> int:
        return hash((self.key, *self.said))


def policy_keys(next_hop: str) -> List[str]:
    """What is asked for: a bare name stands below the domains above it, anything else for itself alone."""
    if not _HOSTNAME.match(next_hop):
        return [next_hop]
    return [next_hop, *(f".{domain}" for domain in domains_above(next_hop))]


def keys_asked(service: Service, next_hop: str) -> List[str]:
    """The same for a service: lmtp(8) knows hosts and sockets apart (smtp_connect.c)."""
    return policy_keys(re.sub(r"\A(?:inet|unix):", "", next_hop) if service.command == "lmtp" else next_hop)


def find_policy(configuration: Configuration, service: Service, next_hop: str) -> Policy:
    """The first entry that speaks of the next hop."""
    maps = configuration.parameter(f"{service.command}_tls_policy_maps", service)
    unknown: List[str] = []
    for key in keys_asked(service, next_hop):
        answer = configuration.maps.find(maps, key)
        unknown.extend(answer.unknown)
        if answer.value is not None:
            read = _read_policy(answer.value, configuration.state.version >= BRACES_SINCE)
            return replace(read, key=key, unknown=tuple(dict.fromkeys(unknown)))
    per_site = "" if maps else configuration.parameter(f"{service.command}_tls_per_site", service)
    return Policy(unknown=tuple(dict.fromkeys([*unknown, *split_list(per_site)])))


_ONCE = (
    "ciphers",
    "protocols",
    "servername",
    "exclude",
    "policy_type",
    "policy_ttl",
    "policy_domain",
    "policy_failure",
)
_OFTEN = ("match", "tafile", "connection_reuse", "enable_rpk", "policy_string", "mx_host_pattern")
_REPORTED = frozenset(["policy_ttl", "policy_domain", "policy_string", "mx_host_pattern", "policy_failure"])
"""What stands beside C(policy_type) alone."""


@lru_cache(maxsize=1024)
def _read_policy(text: str, braces: bool) -> Policy:
    """An entry of the table, under whatever key; ``braces`` is whether this version knows C({ name = value })."""
    words = re.findall(r"\{[^}]*\}|[^\s,{}]+", text)
    level = known(ClientLevel, words[0]) if words else None
    attributes: Dict[str, str] = {}
    for word in words[1:]:
        name, equals, value = (part.strip() for part in word.strip("{} ").partition("="))
        name = name.lower()
        if level is None or level is ClientLevel.NONE:  # which looks at no attribute
            break
        once = name not in _ONCE or name not in attributes
        written = equals and (braces or not word.startswith("{"))
        if not written or name not in (*_ONCE, *_OFTEN) or not once or not _fits(level, name, value):
            level = None
        parted = "|" if name == "match" and level is ClientLevel.FINGERPRINT else " "
        attributes[name] = f"{attributes[name]}{parted}{value}" if name in attributes else value
    if "policy_type" not in attributes and not _REPORTED.isdisjoint(attributes):
        level = None
    return Policy(None, level, attributes, level is not None)


def _fits(level: ClientLevel, name: str, value: str) -> bool:
    """Whether an attribute may stand beside a level, with this value."""
    if name in ("connection_reuse", "enable_rpk"):
        return value.lower() in ("yes", "no")
    if name in ("match", "tafile") and not (level.looks_at_match if name == "match" else level.trusts_a_ca):
        return False
    return bool(value) or name not in ("ciphers", "match", "tafile")


def protections(
    configuration: Configuration, service: Optional[Service], policy: Policy
) -> Dict[str, Optional[Protection]]:
    """What protects mail that the service (main.cf alone, for ``None``) sends under a policy."""
    side = service.command if service else "smtp"
    found = configuration.state.found(service)
    level = _level(configuration, found, side, policy)
    patterns = filter(is_by_pattern, split_maps(found.get(f"{side}_tls_policy_maps", "")))
    values: Dict[str, Optional[Protection]] = {
        "level": level,
        "patterns": AtLeast(frozenset(patterns)),
        "passwords": shown_by_client(found, side, level),
    }
    version = configuration.state.version
    unsure = {*policy.unknown, *_unsure(found, side)}
    if unsure or level is not ClientLevel.NONE:
        values["policy"] = Unknown(frozenset(unsure))
    if any(map(is_kept_by_others, policy.unknown)):  # whoever keeps it may answer dane
        looked = looks_at_dnssec(found, side, version)
        values["dnssec"] = Switch(looked, "yes" if looked else "no")
    if level is ClientLevel.NONE:
        return values
    prefix = governing_prefix(side, level.is_mandatory)
    protocols = policy.attributes.get("protocols")
    values["minimum_protocol"] = lowest(
        admitted(found.get(f"{prefix}_protocols", "") if protocols is None else protocols, version)
    )
    if not level.is_mandatory:
        values["mandatory_protocol"] = lowest(admitted(found.get(f"{side}_tls_mandatory_protocols", ""), version))
    if level is ClientLevel.DANE:
        values.update(_without_records(found, side, policy, version))
    values["ciphers"] = known(CipherGrade, policy.attributes.get("ciphers", found.get(f"{prefix}_ciphers", "")))
    values.update(cipher_list(found, values["ciphers"]))
    values["exclude_ciphers"] = _excluded(found, side, level, policy)
    if level.looks_at_match:
        values["match"] = _match(found, side, level, policy)
    if level.trusts_a_ca:
        values["trust"] = trusted(configuration, found, side, policy.attributes.get("tafile"))
    if level in DANE:
        values["dane_digests"] = AtLeast(_digests(found, version))
    if level is ClientLevel.DANE:
        values["insecure_mx"] = known(ClientLevel, found.get(f"{side}_tls_dane_insecure_mx_policy", ""))
    if _may_be_lowered(level, client_level(found, side)) and version >= TLS_REQUIRED_SINCE:
        enabled = found.get("tls_required_enable", "yes")
        values["tls_required_enable"] = Switch(not is_yes(enabled), enabled)
    return values


def _without_records(
    found: Mapping[str, str], side: str, policy: Policy, version: Tuple[int, int]
) -> Dict[str, Optional[Protection]]:
    """What holds at ``dane`` for servers without TLSA records, which is what holds at ``may`` (dane_incompat in
    smtp_tls_policy.c)."""
    protocols = policy.attributes.get("protocols", found.get(f"{side}_tls_protocols", ""))
    return {
        "opportunistic_protocol": lowest(admitted(protocols, version)),
        "opportunistic_ciphers": known(
            CipherGrade, policy.attributes.get("ciphers", found.get(f"{side}_tls_ciphers", ""))
        ),
    }


def _level(configuration: Configuration, found: Mapping[str, str], side: str, policy: Policy) -> ClientLevel:
    """The level that holds: ``dane`` without what DANE needs is ``may`` (dane_init in smtp_tls_policy.c), and where TLS is not
    demanded, a client that cannot speak it, or does not ask, sends without."""
    level = policy.level or client_level(found, side)
    if level is ClientLevel.DANE and not looks_at_dnssec(found, side, configuration.state.version):
        level = ClientLevel.MAY
    silent = (level is ClientLevel.MAY and _never_asks(found, side)) or (
        level in (ClientLevel.MAY, ClientLevel.DANE) and not can_start(configuration, found, side)
    )
    return ClientLevel.NONE if silent else level


def _never_asks(found: Mapping[str, str], side: str) -> bool:
    """Whether the client overlooks STARTTLS, which at ``may`` means plaintext (postconf(5), smtp_discard_ehlo_keywords)."""
    discarded = split_list(found.get(f"{side}_discard_ehlo_keywords", "").lower())
    return "starttls" in discarded or is_yes(found.get(f"{side}_never_send_ehlo", "no"))


def _unsure(found: Mapping[str, str], side: str) -> Iterator[str]:
    """What may take STARTTLS, or a policy, from some next hops: tables of patterns, and filters of replies."""
    yield from filter(has_patterns, split_maps(found.get(f"{side}_tls_policy_maps", "")))
    for name in ("reply_filter", "dns_reply_filter", "discard_ehlo_keyword_address_maps"):
        if found.get(f"{side}_{name}"):
            yield f"{side}_{name} = {found[f'{side}_{name}']}"
    if not is_yes(found.get(f"{side}_always_send_ehlo", "yes")):
        yield f"{side}_always_send_ehlo = no"


def cipher_list(found: Mapping[str, str], grade: Optional[Protection]) -> Dict[str, Optional[Protection]]:
    """What OpenSSL is told for a grade: of another list for the same grade nobody knows that it is as good."""
    name = f"tls_{grade}_cipherlist"
    return {name: Unknown(frozenset([found.get(name, "")]))} if grade else {}


def _may_be_lowered(level: ClientLevel, default: ClientLevel) -> bool:
    """By the header TLS-Required: no, for which Postfix asks no policy, but takes the level of main.cf, or may where that is
    higher (policy_create in smtp_tls_policy.c)."""
    return demands(level) or level is ClientLevel.DANE or default is ClientLevel.NONE


def looks_at_dnssec(found: Mapping[str, str], side: str, version: Tuple[int, int]) -> bool:
    """Whether the parameters let DANE work, as far as they say."""
    resolver_options = split_list(found.get(f"{side}_dns_resolver_options", "").lower())
    return (
        found.get(f"{side}_dns_support_level", "").lower() == "dnssec"
        and "dns" in split_list(found.get(f"{side}_host_lookup", "dns").lower())
        and not is_yes(found.get("ignore_mx_lookup_error", "no"))
        and not {"res_defnames", "res_dnsrch"} & set(resolver_options)
        and "sha256" in _digests(found, version)
    )


def _digests(found: Mapping[str, str], version: Tuple[int, int]) -> FrozenSet[str]:
    """By which TLSA records are compared: at C(dane), one by another is as good as none, and SHA-256 is what almost all have
    (RFC 7672 section 3.1). Each may stand with the number of its matching type (postconf(5), tls_dane_digests)."""
    named = [word.partition("=") for word in split_list(found.get("tls_dane_digests", "sha512 sha256").lower())]
    read = [name for name, number, _value in named if name in _TLSA_DIGESTS or (number and is_digest(name))]
    if version < ODD_DIGESTS_SINCE and not len(named) == len(read) == len(set(read)):
        return frozenset()
    return _TLSA_DIGESTS & set(read)


def _excluded(found: Mapping[str, str], side: str, level: ClientLevel, policy: Policy) -> AtLeast:
    if "exclude" in policy.attributes:
        return AtLeast(frozenset(colon_list(policy.attributes["exclude"])))
    return AtLeast(frozenset(excluded_ciphers(found, side, level.is_mandatory)))


def _is_held_to_patterns(found: Mapping[str, str], side: str, policy: Policy) -> bool:
    """Whether a host's own name must match a pattern of MTA-STS, and its certificate that name, whatever C(match) says
    (postconf(5), smtp_tls_enforce_sts_mx_patterns)."""
    return (
        is_yes(found.get(f"{side}_tls_enforce_sts_mx_patterns", "no"))
        and policy.attributes.get("policy_type", "").lower() == "sts"
        and {"match", "mx_host_pattern"} <= set(policy.attributes)
    )


def _match(found: Mapping[str, str], side: str, level: ClientLevel, policy: Policy) -> AtMost:
    """Fingerprints are parted by bars in a table, and by blanks or commas in main.cf."""
    if level is ClientLevel.FINGERPRINT:
        stated = policy.attributes.get("match")
        pins = split_list(found.get(f"{side}_tls_fingerprint_cert_match", "")) if stated is None else stated.split("|")
        return AtMost(frozenset(pin.upper() for pin in pins if pin))
    if _is_held_to_patterns(found, side, policy):
        return AtMost(frozenset(split_list(policy.attributes["mx_host_pattern"].lower())))
    parameter = MATCH_PARAMETER[level].replace("smtp_", f"{side}_", 1)
    return Names(frozenset(colon_list(policy.attributes.get("match", found.get(parameter, "")).lower())))
