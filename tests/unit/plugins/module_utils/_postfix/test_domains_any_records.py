# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of records that chance makes."""

from __future__ import annotations

import random

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import RequireTls, read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import CipherGrade, Protocol
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import (
    current_folder,
    read_records,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    ASKING,
    MTA_STS,
    PARENTS,
    PINS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    apply,
    plan,
)


def any_record(chance, name, new):
    """A valid record, whatever chance makes of it."""

    def maybe(value, odds=0.5):
        return value if chance.random() < odds else None

    level = maybe(
        chance.choice(["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"]), 0.7
    )
    match = {
        "fingerprint": chance.sample(PINS, chance.randint(1, 3)),
        "secure": chance.choice([[], ["hostname"], ["mx.example", ".a.example"]]),
        "verify": chance.choice([[], ["nexthop", "dot-nexthop"]]),
    }.get(level, [])
    below = chance.random() < 0.2
    host = chance.choice([f"[mx.{name}]", f"mx.{name}", f"[192.0.2.{name[1:].partition('.')[0]}]"])
    route = maybe(("lmtp:" if level is None else "") + host + chance.choice(["", ":25", ":65535"]))
    incoming = maybe(
        chance.choice([{}, {"level": "may"}, {"client_certificates": "require"}, {"pins": chance.sample(PINS, 2)}])
    )
    record = {
        "name": f".{name}" if below else name,
        "subdomains": not below and chance.random() < 0.5,
        "level": level,
        "match": match,
        "minimum_protocol": maybe(chance.choice(Protocol.words())) if level not in (None, "none") else None,
        "ciphers": maybe(chance.choice(CipherGrade.words())) if level not in (None, "none") else None,
        "requiretls": maybe(chance.choice(RequireTls.words()), 0.3) if new and "lmtp" not in str(route) else None,
        "route": route,
        "incoming": None if below else incoming,
        "expires": maybe(chance.choice([YESTERDAY, str(TODAY), TOMORROW])),
        "owner": maybe(chance.choice(["", "mail team", "Ü\u2028 \\ \"'#"])),
        "reason": maybe("because # of\\ this"),
    }
    record["local"] = not below and chance.random() < 0.4
    if not (level or route or record["incoming"] is not None or record["local"] or record["requiretls"]):
        record["level"] = "encrypt"
    can_test = record["level"] or record["incoming"] is not None or record["requiretls"]
    record["mode"] = maybe("testing" if can_test else "enforce")
    return record


@pytest.mark.parametrize("seed", range(40))
def test_any_list_of_records_survives_the_file_and_a_second_run_has_nothing_to_do(node, seed):
    chance = random.Random(seed)
    node.append(ASKING)
    if chance.random() < 0.5:
        node.append(f"{PARENTS} = {chance.choice(['', 'relay_domains', 'smtpd_access_maps'])}\n")
    version = chance.choice(["3.5.25", "3.10.13", "3.11.1"])
    node.defaults["mail_version"] = version
    new = version == "3.11.1"
    items = [any_record(chance, f"d{number}.example", new) for number in range(chance.randint(1, 12))]
    known = any(item["incoming"] is not None for item in items)
    wish = {
        "unlisted": chance.choice([None, *Unlisted] if known else [None, Unlisted.WARN]),
        "sources": chance.choice([None, (), (MTA_STS,)]),
    }
    wanted, _absent = read_domains(items)

    planned = apply(node, *items, **wish)
    assert planned.after == read_records(current_folder(node.state)) == tuple(sorted(wanted, key=lambda r: r.name))

    chance.shuffle(items)
    assert plan(node, *items, **wish).plan == plan(node, exclusive=False).plan
    second = plan(node, *items, exclusive=True, **wish)
    assert not second.plan.changed
    assert second.before == second.after == planned.after

    apply(node, exclusive=True, unlisted=Unlisted.ACCEPT, sources=(), allow_weaker=True)
    left = node.state.explicit
    assert not [name for name, value in left.items() if "smtp_hardening" in name or "smtp_hardening" in value]
    assert not plan(node).plan.changed
