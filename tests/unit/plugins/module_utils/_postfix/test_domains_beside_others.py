# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator and other sources of policies have in the same lists, beside our tables."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    MTA_STS,
    PARTNER,
    SOURCES,
    apply,
    explicit,
    plan,
)


def test_an_operators_own_table_stays_after_ours(node):
    node.write("transport_maps = hash:/etc/postfix/transport\n")
    apply(node, PARTNER)
    value = read_state(node.postfix).explicit["transport_maps"]
    assert value.startswith("hash:") and value.endswith("/domains/1/transport, hash:/etc/postfix/transport")
    apply(node, exclusive=True, allow_weaker=True)
    assert read_state(node.postfix).explicit["transport_maps"] == "hash:/etc/postfix/transport"


OWN = "hash:/etc/postfix/tls_policy"


@pytest.mark.parametrize("own", ["", OWN, MTA_STS, f"{OWN}, cdb:/x", f"{OWN} cdb:/x", "inline:{ a.example=secure }"])
@pytest.mark.parametrize("sources", [[MTA_STS], [MTA_STS, "cdb:/other"]])
def test_other_sources_of_policies_are_asked_last(node, own, sources):
    node.append(f"smtp_tls_policy_maps = {own}\n" if own else "")
    before = explicit(node)
    last = ", ".join([own, f"${SOURCES}"] if own else [f"${SOURCES}"])
    wish = {"sources": tuple(sources)}

    apply(node, **wish)
    assert explicit(node) == {"smtp_tls_policy_maps": last, SOURCES: ", ".join(sources)}
    assert not plan(node, **wish).plan.changed
    assert not plan(node).plan.changed

    apply(node, PARTNER)
    ours = f"hash:{node.store('domains/1/tls_policy')}"
    assert explicit(node)["smtp_tls_policy_maps"] == f"{ours}, {last}"
    assert not plan(node, PARTNER, **wish).plan.changed
    assert not plan(node, PARTNER).plan.changed

    node.postfix.edit({"smtp_tls_policy_maps": f"${SOURCES}, {f'{own}, ' if own else ''}{ours}"})
    apply(node)
    assert explicit(node)["smtp_tls_policy_maps"] == f"{ours}, {last}"

    apply(node, exclusive=True, allow_weaker=True)
    assert explicit(node) == {"smtp_tls_policy_maps": last, SOURCES: ", ".join(sources)}
    apply(node, sources=(), allow_weaker=["other mail.policy_sources"])
    assert explicit(node) == before
    assert not plan(node, sources=()).plan.changed


def test_a_source_takes_the_place_of_another(node):
    apply(node, sources=(MTA_STS,))
    with pytest.raises(HardeningError, match=f"other mail.policy_sources from {MTA_STS} to nothing"):
        plan(node, sources=("cdb:/other",))
    taken = plan(node, sources=("cdb:/other",), allow_weaker=["other mail.policy_sources"])
    assert taken.plan.set == {SOURCES: "cdb:/other"}


@pytest.mark.parametrize("lost", [SOURCES, "smtp_tls_policy_maps"])
def test_a_source_that_somebody_took_out_is_put_back(node, lost):
    apply(node, PARTNER, sources=(MTA_STS,))
    before = explicit(node)
    node.postfix.edit({}, [lost])
    apply(node, PARTNER, sources=(MTA_STS,))
    assert explicit(node) == before


@pytest.mark.parametrize(
    "own",
    [
        "inline:{ a.example=secure }",
        "inline:{ { a.example = secure match=b.example }, { c.example = encrypt } }",
        "pcre:{ {/^a[.]example$/ secure} }",
    ],
)
def test_a_map_of_an_operator_that_holds_blanks_stays_whole_before_other_sources(node, own):
    node.append(f"smtp_tls_policy_maps = {own}\n")
    apply(node, PARTNER, sources=(MTA_STS,))
    assert explicit(node)["smtp_tls_policy_maps"] == f"hash:{node.store('domains/1/tls_policy')}, {own}, ${SOURCES}"
    assert not plan(node, PARTNER, sources=(MTA_STS,)).plan.changed


@pytest.mark.parametrize("parameter", ["transport_maps", "relay_domains", "smtp_tls_policy_maps"])
@pytest.mark.parametrize(
    "own",
    [
        "hash:/etc/postfix/own",
        "hash:/etc/postfix/own,lmdb:/etc/postfix/other",
        "hash:$config_directory/own",
        "inline:{ { a.example = b }, c=d }",
        "proxy:mysql:/etc/postfix/own.cf, pcre:/etc/postfix/own.pcre",
    ],
)
def test_an_operators_own_list_survives_adding_changing_and_removing_ours(node, parameter, own):
    node.append(f"{parameter} = {own}\n")
    before = explicit(node)
    record = {**PARTNER, "local": True, "subdomains": True}
    name = {"transport_maps": "transport", "smtp_tls_policy_maps": "tls_policy"}.get(parameter, parameter)
    for number, owner in enumerate(["one", "two"], start=1):
        apply(node, {**record, "owner": owner})
        assert explicit(node)[parameter] == f"hash:{node.store(f'domains/{number}/{name}')}, {own}"
        assert not plan(node).plan.changed
    apply(node, exclusive=True, allow_weaker=True)
    assert explicit(node) == before
