# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains by what DNS and their policies of MTA-STS say of them: the rows of docs/policies.md.

Each condition is a domain for each column, which differ in whom the relay asks for a TLS policy and share their mail servers.
"""

import hashlib
import re
from typing import NamedTuple, Optional, Tuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from zones import Zone

COLUMNS = ("dane", "dane-only", "MTA-STS", "DANE first")
WITH_MTA_STS = COLUMNS[2:]
SIGNED, UNSIGNED = "signed.test", "unsigned.test"
"""Zones of nsd."""
OPT_OUT, BELOW_OPT_OUT = "bind.test", "unsigned.bind.test"
"""Zones of BIND, signed with NSEC3 and opt-out, and delegated from there without DS."""


class Host(NamedTuple):
    """A mail server, as DNS knows it."""

    server: str = "valid"
    """Who answers at its address: C(valid) shows a certificate of a CA that the relay trusts, C(stranger) one of another CA,
    C(plain) offers no STARTTLS."""
    tlsa: Tuple[str, ...] = ()
    origin: str = ""
    """Its zone, if not the domain's."""
    leads_to: str = ""
    """It is an alias of a host in this zone."""
    tlsa_there: Tuple[str, ...] = ()
    family: str = "A"
    """C(AAAA), or nothing for a host without an address."""
    bogus: Tuple[str, ...] = ()
    """Types of records whose signatures are wrong."""


class Policy(NamedTuple):
    """Of MTA-STS."""

    mode: str = "enforce"
    listed: str = ""
    """A name or pattern that stands there instead of the hosts'."""
    host: str = "trusted"
    """Who serves it: C(trusted), C(stranger), whose certificate is of an unknown CA, or C(silent)."""
    kept: str = ""
    """The mode of the policy that the relay has fetched an hour ago."""
    announced: bool = True
    """Whether the domain has a TXT record of it."""


class Condition(NamedTuple):
    title: str
    hosts: Tuple[Host, ...] = (Host(),)
    origin: str = SIGNED
    policy: Optional[Policy] = None
    is_own_host: bool = False
    """Whether there is no MX record."""
    bogus_mx: bool = False

    def domain(self, column):
        return f"{slug(self.title)}.{slug(column)}.{self.origin}"

    def name(self, number, column):
        """Of a host."""
        origin = self.hosts[number].origin or self.origin
        return self.domain(column) if self.is_own_host else f"mx{number}.{slug(self.title)}.{origin}"

    def target(self, number):
        return f"to{number}.{slug(self.title)}.{self.hosts[number].leads_to}"


def slug(title):
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:60]


class Rollover(NamedTuple):
    """A zone below BIND's in one step of a change, with one mail server."""

    title: str
    keys: Tuple[str, ...]
    signed: bool = True
    expired: bool = False
    policy: Optional[Policy] = None

    @property
    def origin(self):
        return f"{slug(self.title)[:40]}.{OPT_OUT}"

    def condition(self):
        host = Host("valid" if self.policy else "stranger", (KEY,))
        return Condition(self.title, (host,), self.origin, self.policy)


# TLSA records of the server's key, and of others.
KEY, OTHER = "3 1 1 {key}", "3 1 1 " + "00" * 32
USAGE, SHORT = "1 1 1 {key}", "3 1 1 {short}"
ENFORCE, TESTING = Policy(), Policy("testing")


def one(title, server, *tlsa, **more):
    """One mail server in the signed zone."""
    policy = more.pop("policy", None)
    return Condition(title, (Host(server, tlsa, **more),), policy=policy)


TLSA = (
    one("no TLSA record", "stranger"),
    one("no TLSA record, no STARTTLS", "plain"),
    one("3 1 1 of the key", "stranger", KEY),
    one("3 1 1 of another key", "valid", OTHER),
    one("3 1 1 of the key, no STARTTLS", "plain", KEY),
    one("3 1 2 of the key", "stranger", "3 1 2 {key512}"),
    one("3 1 0, the key itself", "stranger", "3 1 0 {spki}"),
    one("3 0 1 of the certificate", "stranger", "3 0 1 {certificate}"),
    one("3 0 0, the certificate itself", "stranger", "3 0 0 {der}"),
    one("2 1 1 of the CA", "valid", "2 1 1 {ca}"),
    one("2 0 1 of another CA", "valid", "2 0 1 " + "00" * 32),
    one("3 1 1 of another key and of the key", "stranger", OTHER, KEY),
    one("3 0 2 of another certificate and 3 0 1 of it", "stranger", "3 0 2 " + "00" * 64, "3 0 1 {certificate}"),
    one("usage 1", "stranger", USAGE),
    one("usage 1, no STARTTLS", "plain", USAGE),
    one("usage 0, no STARTTLS", "plain", "0 0 1 {certificate}"),
    one("selector 2, no STARTTLS", "plain", "3 2 1 {key}"),
    one("matching type 9, no STARTTLS", "plain", "3 1 9 {key}"),
    one("digest of 31 octets", "stranger", SHORT),
    one("digest of 31 octets, no STARTTLS", "plain", SHORT),
    one("3 1 2 with a digest of 32 octets", "stranger", "3 1 2 {key}"),
    one("3 1 0 of what is no key", "stranger", "3 1 0 {der}"),
    one("digest of 31 octets, and 3 1 1 of another key", "valid", SHORT, OTHER),
    one("too many records for UDP", "stranger", KEY, *(f"3 1 1 {number:064x}" for number in range(40))),
    one("bogus TLSA records", "stranger", KEY, bogus=("TLSA",)),
    one("bogus address", "stranger", KEY, bogus=("A",)),
    Condition("bogus MX record", (Host("stranger", (KEY,)),), bogus_mx=True),
    one("IPv6 alone", "stranger", KEY, family="AAAA"),
    Condition("no MX record", (Host("stranger", (KEY,)),), is_own_host=True),
    Condition("the second of two hosts alone has a record", (Host("stranger"), Host("valid", (KEY,)))),
    Condition("the first of two hosts alone has a record, of another key", (Host("valid", (OTHER,)), Host("stranger"))),
    Condition("usage 1 at the first of two hosts, which has no STARTTLS", (Host("plain", (USAGE,)), Host("stranger"))),
    Condition("the first of two hosts has no address", (Host(family=""), Host("stranger", (KEY,)))),
)
ALIASES = (
    Condition("to a signed zone, record there", (Host("stranger", leads_to=OPT_OUT, tlsa_there=(KEY,)),)),
    Condition("to a signed zone, record at the alias", (Host("stranger", (KEY,), leads_to=OPT_OUT),)),
    Condition("to a signed zone, another key there", (Host("valid", (KEY,), leads_to=OPT_OUT, tlsa_there=(OTHER,)),)),
    Condition("to an unsigned zone", (Host("stranger", leads_to=UNSIGNED),)),
    Condition("to an unsigned zone, record at the alias", (Host("stranger", (KEY,), leads_to=UNSIGNED),)),
    Condition("to an unsigned zone, another key at the alias", (Host("valid", (OTHER,), leads_to=UNSIGNED),)),
    Condition(
        "to an unsigned zone, another key at the alias, enforce",
        (Host("valid", (OTHER,), leads_to=UNSIGNED),),
        policy=ENFORCE,
    ),
    Condition("to an unsigned zone, usage 1, no STARTTLS", (Host("plain", (USAGE,), leads_to=UNSIGNED),)),
    Condition("in an unsigned zone", (Host("stranger", (KEY,), leads_to=SIGNED, tlsa_there=(KEY,)),), UNSIGNED),
    Condition(
        "no MX record, to an unsigned zone, record at the alias",
        (Host("stranger", (KEY,), leads_to=UNSIGNED),),
        is_own_host=True,
    ),
)
ROLLOVERS = (
    Rollover("KSK: both keys, both DS", ("KSK", "KSK", "ZSK")),
    Rollover("KSK: the DS of the next key is there already", ("KSK", "DS without KSK", "ZSK")),
    Rollover("KSK: the next key has no DS yet", ("KSK", "KSK without DS", "ZSK")),
    Rollover("KSK: only the key that has no DS", ("DS without KSK", "KSK without DS", "ZSK")),
    Rollover("ZSK: the next one is there already", ("KSK", "ZSK", "ZSK to come")),
    Rollover("ZSK: signed with both", ("KSK", "ZSK", "ZSK")),
    Rollover("ZSK: taken out too early", ("KSK", "ZSK to come", "ZSK gone")),
    Rollover("signatures have expired", ("KSK", "ZSK"), expired=True),
    Rollover("insecure from now on: DS taken out", ("KSK without DS", "ZSK")),
    Rollover("insecure from now on, enforce", ("KSK without DS", "ZSK"), policy=ENFORCE),
    Rollover("signatures taken out before the DS", ("DS without KSK",), signed=False),
)
ZONES = (
    Condition("NSEC3 with opt-out, 3 1 1 of the key", (Host("stranger", (KEY,)),), OPT_OUT),
    Condition("NSEC3 with opt-out, no TLSA record", (Host("stranger"),), OPT_OUT),
    Condition("NSEC3 with opt-out, host delegated without DS", (Host("valid", (OTHER,), BELOW_OPT_OUT),), OPT_OUT),
    Condition("MX record unsigned, host signed", (Host("stranger", (KEY,), SIGNED),), UNSIGNED),
    Condition("MX record signed, host unsigned", (Host("valid", (OTHER,), UNSIGNED),)),
    *(rollover.condition() for rollover in ROLLOVERS),
)


def unsigned(title, server, policy):
    return Condition(title, (Host(server),), UNSIGNED, policy)


MTA_STS = (
    unsigned("enforce", "valid", ENFORCE),
    unsigned("enforce, certificate of an unknown CA", "stranger", ENFORCE),
    unsigned("enforce, no STARTTLS", "plain", ENFORCE),
    unsigned(
        "enforce, a pattern names the host", "valid", Policy(listed="*.enforce-a-pattern-names-the-host.unsigned.test")
    ),
    unsigned("enforce, the host is not named", "valid", Policy(listed="mx.elsewhere.test")),
    unsigned("testing, certificate of an unknown CA", "stranger", TESTING),
    unsigned("testing, no STARTTLS", "plain", TESTING),
    unsigned("none, no STARTTLS", "plain", Policy("none")),
    unsigned("enforce, but nobody vouches for the policy host", "stranger", Policy(host="stranger")),
    unsigned("enforce, fetched before, policy host silent", "stranger", Policy(host="silent", kept="enforce")),
    unsigned("enforce, fetched before, no TXT record any more", "stranger", Policy(kept="enforce", announced=False)),
    unsigned("enforce before, none now", "stranger", Policy("none", kept="enforce")),
    unsigned("enforce before, testing now", "stranger", Policy("testing", kept="enforce")),
    unsigned("testing before, enforce now", "stranger", Policy("enforce", kept="testing")),
)
BOTH = (
    one("3 1 1 of the key, enforce names another host", "valid", KEY, policy=Policy(listed="mx.elsewhere.test")),
    one("3 1 1 of another key, enforce", "valid", OTHER, policy=ENFORCE),
    one("bogus TLSA records, enforce", "valid", KEY, bogus=("TLSA",), policy=ENFORCE),
    one("no TLSA record, enforce", "valid", policy=ENFORCE),
    one("usage 1, enforce", "valid", USAGE, policy=ENFORCE),
    one("usage 1, enforce, certificate of an unknown CA", "stranger", USAGE, policy=ENFORCE),
    one("digest of 31 octets, enforce", "valid", SHORT, policy=ENFORCE),
    one("usage 1, testing, no STARTTLS", "plain", USAGE, policy=TESTING),
    one("3 1 1 of another key, testing", "valid", OTHER, policy=TESTING),
    Condition("enforce, one of two hosts has a record", (Host("valid", (KEY,)), Host("valid")), policy=ENFORCE),
    Condition(
        "enforce, the first of two hosts has a record of another key", (Host("valid", (OTHER,)), Host()), policy=ENFORCE
    ),
    Condition("enforce, usage 1 at the first of two hosts", (Host("valid", (USAGE,)), Host()), policy=ENFORCE),
)
GROUPS = {
    "TLSA records": TLSA,
    "The MX host is an alias": ALIASES,
    "Zones and their keys": ZONES,
    "MTA-STS, unsigned zone": MTA_STS,
    "DANE and MTA-STS": BOTH,
}
ORIGINS = (SIGNED, UNSIGNED, OPT_OUT, BELOW_OPT_OUT, *(rollover.origin for rollover in ROLLOVERS))
ALL = tuple(condition for group in GROUPS.values() for condition in group)


def zones(addresses, facts):
    """All of them, with the addresses of servers and of policy hosts, and what TLSA records say of each server."""
    origins = {origin: {} for origin in ORIGINS}
    for condition in ALL:
        for line in _records(condition, addresses, facts):
            owner = line.partition(". ")[0]
            origin = max((origin for origin in origins if owner.endswith(f".{origin}")), key=len)
            origins[origin][line] = None
    lines = {origin: tuple(found) for origin, found in origins.items()}
    bogus = tuple(pair for condition in ALL for pair in _bogus(condition))
    return [
        Zone(SIGNED, lines[SIGNED], bogus=bogus),
        Zone(UNSIGNED, lines[UNSIGNED], signed=False),
        Zone(OPT_OUT, lines[OPT_OUT], server="bind", opt_out=True),
        Zone(BELOW_OPT_OUT, lines[BELOW_OPT_OUT], signed=False, server="bind", keys=()),
        *(Zone(r.origin, lines[r.origin], r.signed, (), "bind", r.keys, expired=r.expired) for r in ROLLOVERS),
    ]


def _records(condition, addresses, facts):
    """Master file lines."""
    for column in COLUMNS:
        domain = condition.domain(column)
        for number, host in enumerate(condition.hosts):
            name = condition.name(number, column)
            if not condition.is_own_host:
                yield f"{domain}. MX {number} {name}."
            yield from _host(name, condition.target(number), host, addresses, facts[host.server])
        if condition.policy and column in WITH_MTA_STS:
            yield f"mta-sts.{domain}. A {addresses[condition.policy.host]}"
            if condition.policy.announced:
                yield f'_mta-sts.{domain}. TXT "v=STSv1; id=1;"'


def _host(name, target, host, addresses, facts):
    at = target if host.leads_to else name
    if host.leads_to:
        yield f"{name}. CNAME {target}."
    if host.family:
        yield f"{at}. {host.family} {addresses[host.server, host.family]}"
    for owner, records in ((name, host.tlsa), (target, host.tlsa_there)):
        for record in records:
            yield f"_25._tcp.{owner}. TLSA {record.format(**facts)}"


def _bogus(condition):
    for column in COLUMNS:
        if condition.bogus_mx:
            yield condition.domain(column), "MX"
        for number, host in enumerate(condition.hosts):
            for kind in host.bogus:
                name = condition.name(number, column)
                yield (f"_25._tcp.{name}" if kind == "TLSA" else name), kind


def facts(certificate, ca):
    """What TLSA records say of a certificate and of its CA, both in PEM."""
    found, above = (x509.load_pem_x509_certificate(pem) for pem in (certificate, ca))
    der, spki = found.public_bytes(Encoding.DER), _key(found)
    key = hashlib.sha256(spki).hexdigest()
    return {
        "key": key,
        "short": key[:-2],
        "key512": hashlib.sha512(spki).hexdigest(),
        "spki": spki.hex(),
        "certificate": hashlib.sha256(der).hexdigest(),
        "der": der.hex(),
        "ca": hashlib.sha256(_key(above)).hexdigest(),
    }


def _key(certificate):
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def policies():
    """What is served, by domain."""
    found = [(condition, condition.domain(column), column) for condition in _with_policy() for column in WITH_MTA_STS]
    return {domain: _text(condition.policy.mode, _listed(condition, column)) for condition, domain, column in found}


def kept():
    """Domain, mode and names of each policy that was fetched before."""
    for condition in _with_policy():
        for column in WITH_MTA_STS if condition.policy.kept else ():
            yield condition.domain(column), condition.policy.kept, _listed(condition, column)


def _with_policy():
    return [condition for condition in ALL if condition.policy]


def _listed(condition, column):
    names = [condition.name(number, column) for number in range(len(condition.hosts))]
    return [condition.policy.listed] if condition.policy.listed else names


def _text(mode, names):
    return "\n".join(["version: STSv1", f"mode: {mode}", "max_age: 86400", *(f"mx: {name}" for name in names), ""])


def names_by_server():
    """What the certificate of each server must hold."""
    found = {}
    for condition in ALL:
        for column in COLUMNS:
            for number, host in enumerate(condition.hosts):
                names = [condition.name(number, column), *([condition.target(number)] if host.leads_to else [])]
                found.setdefault(host.server, {}).update(dict.fromkeys(names))
    return {server: list(names) for server, names in found.items()}
