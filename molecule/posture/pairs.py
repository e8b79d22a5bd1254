# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of configurations that chance makes of what the table is made of."""

import os
import random

from around import NO_TLS
from rows import KNOWN, POLICIES, row
from table import SETTINGS_BY_CHANCE

PEERS = (NO_TLS, "unknown CA", "wrong name", "TLS 1.2 at most", "good")
EXAMPLES = int(os.environ.get("EXAMPLES", "15"))
SEED = int(os.environ.get("SEED", "0"))


def configuration(chance):
    """Parameters of each kind, or the default of it."""
    main = {**KNOWN, "smtp_tls_policy_maps": POLICIES, "transport_maps": "%type%:%dir%/transports"}
    tables = {"policies": {}, "transports": {}}
    for choices in SETTINGS_BY_CHANCE["main"]:
        main.update(chance.choice(choices))
    for table, choices in SETTINGS_BY_CHANCE["tables"].items():
        tables[table] = {key: value for key, values in choices.items() if (value := chance.choice(values))}
    services = {"smtp/unix": f"- - n - - smtp{chance.choice(SETTINGS_BY_CHANCE['overrides'])}"}
    return row(main, tables=tables, services=services, peers=PEERS)


def pair(chance):
    """Two that differ in some ways: the second has begun as the first, or is another altogether."""
    before, after = configuration(chance), configuration(chance)
    if chance.random() < 0.7:
        kept = {
            name: before["main"].get(name) for name in chance.sample(sorted(before["main"]), k=len(before["main"]) // 2)
        }
        after = {**after, "main": {**after["main"], **kept}}
    if chance.random() < 0.5:
        after = {**after, "tables": before["tables"]}
    return {"kind": "pair", "before": before, "after": after}


def pairs():
    chance = random.Random(SEED)
    return {f"pair {number}": pair(chance) for number in range(EXAMPLES)}


PAIRS = pairs()
