# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet as smtp_tls_info tells of it, and the DNS records that smtp_dns_records makes of that."""

from __future__ import annotations

import re

from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_dns_records import dns_records

MX1, MX2 = "mx1.example.com", "mx2.example.com"
TLSA1, TLSA2 = f"_25._tcp.{MX1}.", f"_25._tcp.{MX2}."
STS, REPORTS = "_mta-sts.example.com.", "_smtp._tls.example.com."
RUA = "mailto:reports@example.com"


def key(digits):
    return f"3 1 1 {digits * 32}"


def of_ca(digits):
    return f"2 1 1 {digits * 32}"


def by_sha512(digits):
    return f"3 1 2 {digits * 64}"


def of_whole(digits):
    return f"3 0 1 {digits * 32}"


def alternatives(record):
    """What says the same as C(3 1 1) or C(2 1 1)."""
    usage, digits = record[0], record[6:8]
    return [f"{usage} 0 1 {digits * 32}", f"{usage} 1 2 {digits * 64}"]


def certificate(*tlsa, **over):
    found = {
        "name": "default",
        "self_signed": False,
        "subject_alternative_names": ["*.example.com"],
        "not_after": "2026-04-01T00:00:00Z",
        "days_left": 89,
    }
    others = [other for record in tlsa for other in alternatives(record)]
    return {**found, "tlsa": list(tlsa), "tlsa_alternatives": others, **over}


def next_keys(announced):
    return {"tlsa": list(announced), "tlsa_alternatives": [alternatives(record)[1] for record in announced]}


def stored(*chains, server=False, client=False, sni=(), announced=()):
    return {
        "active": {"server": server, "client": client},
        "sni": list(sni),
        "chains": list(chains),
        "next": next_keys(announced) if announced else None,
    }


def node(*served, certificates=None, sni=None, level="may", announced=()):
    """What smtp_tls_info returns; ``announced`` are the next keys of the certificate that is active."""
    return {
        "server": {"level": level},
        "active": {"server": list(served), "client": []},
        "certificates": certificates or {"default": stored(*served, server=True, announced=announced)},
        "sni": sni or {},
    }


def fleet(**infos):
    return {f"{host}.example.com": {"smtp_tls_info": info} for host, info in infos.items()}


def said(hostvars, **options):
    return dns_records(list(hostvars), hostvars, **options)


def values(found, kind="TLSA"):
    return [(record["name"], record["value"]) for record in found["records"] if record["type"] == kind]


ONE = fleet(mx1=node(certificate(key("AA"))))
TWO = fleet(mx1=node(certificate(key("AA"))), mx2=node(certificate(key("BB"))))


def sts_id(hostvars=TWO, **options):
    value = dict(values(said(hostvars, **{"domains": ["example.com"], **options}), "TXT"))[STS]
    return re.fullmatch(r"v=STSv1; id=([A-Za-z0-9]{1,32});", value)[1]
