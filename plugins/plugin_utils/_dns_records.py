# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What DNS is to say of a fleet: TLSA (RFC 7672), MTA-STS (RFC 8461), reports of TLS failures (RFC 8460)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import AbstractSet, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.fitness import covers
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Options
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model import words
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_tlsa import is_of_end_entity

MODES = ("enforce", "testing", "none")
MAX_AGE = 31557600
"""Seconds; the most that RFC 8461 section 3.2 allows."""
MAX_TTL = 2**31 - 1
"""RFC 2181 section 8."""
_STRING = 255
"""Octets that one character-string holds (RFC 1035 section 3.3)."""
_RUA = re.compile(r"(mailto:[^@]+@[^@]+|https://.+)\Z")
_NOT_IN_RUA = re.compile(r'[^!-~]|[,;!"\\]')
_REFUSED = {
    "enforce": "senders that honour MTA-STS deliver no mail to it (RFC 8461 section 5)",
    "testing": "senders report it, and mode enforce would stop their mail (RFC 8461 section 5)",
}


@dataclass(frozen=True)
class Record:
    """One record; the value as DNS means it, without the quotes of a zone file."""

    name: str
    type: str
    ttl: int
    value: str
    announced: bool = False
    """Whether it is of a key that is made and not served yet."""
    matching: Tuple[FrozenSet[str], ...] = ()
    """Of a TLSA record: for each certificate with its key, or for a key alone, all records that match."""

    def is_said_by(self, values: AbstractSet[str]) -> bool:
        """Whether records of end entities name each certificate with this key."""
        return all(any(map(is_of_end_entity, one & values)) for one in self.matching)

    def is_taken_by(self, values: AbstractSet[str]) -> bool:
        """Whether each of them is matched, be it by a record of a CA that is sent along."""
        return all(one & values for one in self.matching)

    def facts(self) -> Dict[str, object]:
        return {"name": self.name, "type": self.type, "ttl": self.ttl, "value": self.value}

    def line(self) -> str:
        """As a zone file has it (RFC 1035 section 5.1)."""
        value = _quoted(self.value) if self.type == "TXT" else self.value
        return f"{self.name} {self.ttl} IN {self.type} {value}"


@dataclass(frozen=True)
class Node:
    """A host with the names that MX records give it and what smtp_tls_info returned of it."""

    host: str
    names: Tuple[str, ...]
    info: Facts

    def served(self, name: str) -> List[Facts]:
        """What senders are shown: they ask for ``name`` by SNI (RFC 7671 section 3, RFC 8461 section 7.1)."""
        stored = self._by_sni(name)
        served: List[Facts] = self.info["certificates"][stored]["chains"] if stored else self.info["active"]["server"]
        return served

    def announced(self, name: str) -> Iterator[Tuple[str, FrozenSet[str]]]:
        """TLSA records of keys that may be served under ``name`` next, each with all that match: those of a certificate that is
        now, and of one that is not used at all yet."""
        here = {self._by_sni(name) or one["name"] for one in self.served(name)}
        for stored, facts in self.info["certificates"].items():
            if facts["next"] and (stored in here or not (facts["sni"] or any(facts["active"].values()))):
                records, others = facts["next"]["tlsa"], facts["next"]["tlsa_alternatives"]
                yield from ((record, frozenset([record, other])) for record, other in zip(records, others))

    def _by_sni(self, name: str) -> str:
        """The name in the store of the certificate for this host name: its own, or that of a domain above."""
        keys = [name, *(f".{domain}" for domain in words.domains_above(name))]
        found = (self.info["sni"].get(key) for key in keys)
        return next((stored for stored in found if stored in self.info["certificates"]), "")


@dataclass(frozen=True)
class Domain:
    """A domain that receives mail, with the MX hosts, or C(*.) patterns, of its policy (RFC 8461 section 4.1)."""

    name: str
    mx: Tuple[str, ...]


@dataclass(frozen=True)
class Sts:
    """What all domains' policies share."""

    mode: str
    max_age: int

    def policy(self, domain: Domain) -> str:
        """The file (RFC 8461 section 3.2), MX hosts sorted so that their order in the inventory changes nothing."""
        mx = [f"mx: {name}" for name in sorted(domain.mx)]
        lines = ["version: STSv1", f"mode: {self.mode}", *mx, f"max_age: {self.max_age}"]
        return "".join(f"{line}\r\n" for line in lines)

    def record_value(self, domain: Domain) -> str:
        """With an id that changes exactly when the policy does: 1-32 alphanumerics (RFC 8461 section 3.1)."""
        return f"v=STSv1; id={hashlib.sha256(self.policy(domain).encode()).hexdigest()[:32]};"


def listed(value: object) -> List[object]:
    """A list; a single item stands for itself, and none for an empty list."""
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)) else [value]


def read_mapping(option: str, value: object) -> Mapping[str, object]:
    """What is given by host; nothing for none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidValue(option, value, "is no dictionary", "give a value for each host by its name in the inventory")
    return value


def read_flag(option: str, value: object) -> bool:
    """A boolean, which Jinja may hand over as text."""
    text = str(value).strip().lower()
    if text not in ("true", "false", "yes", "no"):
        raise InvalidValue(option, value, "is neither true nor false", "write one of the two")
    return text in ("true", "yes")


def read_number(option: str, value: object, least: int, most: int) -> int:
    """A whole number, which Jinja may hand over as text."""
    text = str(value)
    if isinstance(value, bool) or not re.match(r"[0-9]{1,10}\Z", text) or not least <= int(text) <= most:
        raise InvalidValue(
            option,
            value,
            "is out of range",
            f"write a whole number from {least} to {most}",
        )
    return int(text)


def read_host(option: str, value: object) -> str:
    """A full host name, with or without the dot at its end."""
    name = words.domain_name(option, re.sub(r"\.\Z", "", str(value)))
    if "." not in name or name.rpartition(".")[2].isdigit():
        raise InvalidValue(option, value, "is no full domain name", "write it as DNS has it, as in mx1.example.com")
    return name


def read_mode(value: object) -> str:
    if value not in MODES:
        raise InvalidValue("mode", value, "is no mode of MTA-STS", f"use {', '.join(MODES)} (RFC 8461 section 3.2)")
    return str(value)


def read_rua(value: object) -> str:
    """Where reports go: a URI of mailto or https, with ``,``, ``;`` and ``!`` encoded (RFC 8460 section 3)."""
    text = str(value)
    if not _RUA.match(text) or _NOT_IN_RUA.search(text):
        raise InvalidValue(
            "rua",
            value,
            "is no address for reports",
            "write a mailto: or https: URI with ',', ';' and '!' percent-encoded, as in mailto:reports@example.com",
        )
    return text


def read_domains(given: object, fleet: Sequence[str], mode: str) -> List[Domain]:
    """Names, or dictionaries of C(name) and C(mx). Without C(mx), every node of the fleet is an MX host."""
    domains: Dict[str, Domain] = {}
    for item in listed(given):
        domain = _read_domain(item if isinstance(item, Mapping) else {"name": item}, fleet, mode)
        if domain.name in domains:
            raise InvalidValue("domains", domain.name, "is listed twice", "keep one of the two")
        domains[domain.name] = domain
    return list(domains.values())


def _read_domain(item: Options, fleet: Sequence[str], mode: str) -> Domain:
    unknown = sorted(set(item) - {"name", "mx"})
    if unknown or "name" not in item:
        raise InvalidValue(
            "domains", dict(item), "is no domain", "write its name, or a dictionary of name and mx alone"
        )
    name = read_host("domains", item["name"])
    given = item.get("mx")
    mx = fleet if given is None else [_read_pattern(one) for one in listed(given)]
    if not mx and mode != "none":
        raise InvalidValue(
            "domains", name, "has no MX host", "hand over the fleet's hosts, or list them as mx beside the name"
        )
    return Domain(name, tuple(dict.fromkeys(mx)))


def _read_pattern(value: object) -> str:
    text = str(value)
    below = text.startswith("*.")
    return "*." * below + read_host("domains.mx", text[2 * below :])


def tlsa_name(name: str, port: int) -> str:
    return f"_{port}._tcp.{name}."


def tlsa_records(nodes: Sequence[Node], ttl: int, port: int) -> Iterator[Record]:
    """C(3 1 1) of every key that is served or will be (RFC 7672 section 3.1). Nodes may share a name."""
    for name in fleet_names(nodes):
        holders = [node for node in nodes if name in node.names]
        served: Dict[str, List[FrozenSet[str]]] = {}
        for shown in (one for node in holders for one in node.served(name)):
            for value in filter(_is_of_key, shown["tlsa"]):
                served.setdefault(value, []).append(_matching(shown))
        announced = dict(one for node in holders for one in node.announced(name) if one[0] not in served)
        where = tlsa_name(name, port)
        yield from (Record(where, "TLSA", ttl, value, False, tuple(known)) for value, known in served.items())
        yield from (Record(where, "TLSA", ttl, value, True, (known,)) for value, known in announced.items())


def right_records(nodes: Sequence[Node], port: int) -> Dict[str, FrozenSet[str]]:
    """By TLSA name, all that matches what is served or announced there, to be published or not; nothing where no key is served."""
    found: Dict[str, FrozenSet[str]] = {tlsa_name(name, port): frozenset() for name in fleet_names(nodes)}
    for node in nodes:
        for name in node.names:
            served = (_matching(shown) for shown in node.served(name))
            announced = (known for _value, known in node.announced(name))
            found[tlsa_name(name, port)] = found[tlsa_name(name, port)].union(*served, *announced)
    return found


def _matching(shown: Facts) -> FrozenSet[str]:
    return frozenset([*shown["tlsa"], *shown["tlsa_alternatives"]])


def domain_records(domains: Iterable[Domain], sts: Sts, rua: Sequence[str], ttl: int) -> Iterator[Record]:
    """What each domain says of itself."""
    for domain in domains:
        yield Record(f"_mta-sts.{domain.name}.", "TXT", ttl, sts.record_value(domain))
        if rua:
            yield Record(f"_smtp._tls.{domain.name}.", "TXT", ttl, f"v=TLSRPTv1; rua={','.join(rua)}")


def fleet_names(nodes: Iterable[Node]) -> List[str]:
    """All MX names, in the order of the hosts."""
    return list(dict.fromkeys(name for node in nodes for name in node.names))


def warnings(nodes: Sequence[Node], domains: Sequence[Domain], sts: Sts) -> List[str]:
    """What would stop mail, or leaves it unprotected, once these records are published."""
    found = [warning for node in nodes for name in node.names for warning in _of_node(node, name, domains, sts)]
    found += [warning for domain in domains for warning in _of_domain(domain, fleet_names(nodes))]
    if domains and sts.mode == "none":
        found.append(
            "mode: none withdraws MTA-STS; set a small max_age such as 86400, and keep record and policy until all "
            "policies that were served before have expired (RFC 8461 section 8.3)."
        )
    return list(dict.fromkeys(found))


def _of_node(node: Node, name: str, domains: Sequence[Domain], sts: Sts) -> Iterator[str]:
    if node.info["server"]["level"] == "none":
        yield (
            f"{node.host}: its server level is none, so it offers no STARTTLS, and with TLSA records published for "
            f"{name} senders with DANE hold their mail; set level: may with smtp_tls_mode first."
        )
    if not node.served(name):
        yield (
            f"{node.host}: it has no active server certificate, so no key is served for a TLSA record of {name}; "
            "make one active with smtp_tls_cert (use: [server])."
        )
    if sts.mode != "none" and any(covers(domain.mx, name) for domain in domains):
        for shown in node.served(name):
            yield from (
                f"{node.host}: the certificate for {name} {flaw}, so {_REFUSED[sts.mode]}; {remedy}."
                for flaw, remedy in _flaws(shown, name)
            )


def _flaws(shown: Facts, name: str) -> Iterator[Tuple[str, str]]:
    """Why the Web PKI does not vouch for a certificate (RFC 8461 section 4.2), as far as it can be seen from here."""
    names = shown["subject_alternative_names"]
    if shown["self_signed"]:
        yield "is self-signed", "have a CA sign it that senders trust"
    if not covers(names, name):
        yield f"names {', '.join(names) or 'no host'} and not {name}", "bring one that carries the name"
    if shown["days_left"] < 0:
        yield f"expired on {shown['not_after'][:10]}", "renew it"


def _of_domain(domain: Domain, fleet: Sequence[str]) -> Iterator[str]:
    for pattern in domain.mx:
        if not any(covers([pattern], name) for name in fleet):
            yield (
                f"{domain.name}: its MX {pattern} is no node of this fleet, so neither its certificate nor its TLSA "
                "records are known here; whoever runs it must see to both."
            )


def _is_of_key(value: str) -> bool:
    return value.startswith("3 1 1 ")


def _quoted(text: str) -> str:
    """Character-strings of at most 255 octets each, side by side (RFC 1035 section 5.1)."""
    data = text.encode("ascii")
    parts = [data[at : at + _STRING].decode() for at in range(0, len(data), _STRING)]
    return " ".join('"' + re.sub(r'(["\\])', r"\\\1", part) + '"' for part in parts)
