# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of configurations that chance makes: two that differ in one to three of the ways in which they can differ."""

import os
import random

from around import FEW
from rows import KNOWN, POLICIES, row

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))
SEED = int(os.environ.get("SEED", "0"))
PARAMETERS = (
    [{"smtp_tls_security_level": text} for text in ("none", "may", "Encrypt", "encrypt", "verify", "secure", "SECURE")],
    [{}, {"relayhost": "[smart.test]"}, {"relayhost": "other.test"}],
    [{}, {"default_transport": "relay"}, {"default_transport": "smtp:[smart.test]"}],
    [{}, {"smtp_tls_CAfile": "%pki%/both.pem"}, {"smtp_tls_CAfile": "%pki%/unknown.pem"}],
    [{}, {"smtp_tls_mandatory_protocols": "TLSv1.3"}, {"smtp_tls_mandatory_protocols": "!SSLv2, !SSLv3, !TLSv1"}],
    [{}, {"smtp_tls_protocols": "tlsv1.3"}, {"smtp_tls_protocols": "!SSLv2,!SSLv3"}, {"smtp_tls_protocols": "TLSv1.9"}],
    [
        {},
        {"smtp_tls_secure_cert_match": "nexthop, mx.elsewhere.test"},
        {"smtp_tls_verify_cert_match": "mx.elsewhere.test"},
    ],
    [{}, {"relay_domains": "bank.test"}, {"relay_domains": "bank.test", "relay_transport": "relay:[smart.test]"}],
    [{}, {"smtp_fallback_relay": "[shop.test]"}],
)
ENTRIES = {
    ("policies", "bank.test"): [
        *("", "may", "encrypt", "none", "secure", "secure match=mx.elsewhere.test", "encrypt protocols=TLSv1.3"),
        *("encrypt wings=two", "secure tafile=%pki%/unknown.pem", "fingerprint match=%pin_unknown%"),
    ],
    ("policies", "[smart.test]"): ["", "", "encrypt", "secure match=smart.test", "may"],
    ("policies", "other.test"): ["", "verify", "may"],
    ("transports", "bank.test"): ["", "", "", "relay:", ":[smart.test]", "smtp:other.test"],
    ("transports", "*"): ["", "", "relay:[smart.test]"],
}
OVERRIDES = {
    "smtp/unix": ["", "", " -o smtp_tls_security_level=may", " -o { smtp_tls_security_level = Secure }"],
    "relay/unix": ["", "", " -o smtp_tls_policy_maps=", " -o smtp_tls_security_level=encrypt"],
}
WAYS_TO_DIFFER = {**dict(enumerate(PARAMETERS)), **ENTRIES, **OVERRIDES}


def pair(chance):
    """What is chosen of each kind, before and after."""
    before = {way: chance.choice(choices) for way, choices in WAYS_TO_DIFFER.items()}
    changed = chance.sample(list(WAYS_TO_DIFFER), k=chance.randint(1, 3))
    after = {**before, **{way: chance.choice(WAYS_TO_DIFFER[way]) for way in changed}}
    return {"kind": "pair", "before": configuration(before), "after": configuration(after)}


def configuration(chosen):
    main = {**KNOWN, "smtp_tls_policy_maps": POLICIES, "transport_maps": "%type%:%dir%/transports"}
    for number in range(len(PARAMETERS)):
        main.update(chosen[number])
    tables = {"policies": {}, "transports": {}}
    for table, key in ENTRIES:
        tables[table].update({key: chosen[table, key]} if chosen[table, key] else {})
    services = {name: f"- - n - - smtp{chosen[name]}" for name in OVERRIDES}
    return row(main, tables=tables, services=services, peers=FEW)


def pairs():
    chance = random.Random(SEED)
    return {f"pair {number}": pair(chance) for number in range(EXAMPLES)}


PAIRS = pairs()
