# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run returns, warns of and refuses."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import resolver
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import DOMAINS, run


def test_domains_are_refused_before_the_node_is_read(node):
    with pytest.raises(InvalidValue, match="^domains\\[0\\]"):
        run("smtp_domain_policy", node, {**DOMAINS, "domains": [{"name": "no name"}]})
    assert node.commands == []


def test_a_domain_whose_demand_nobody_could_meet_warns_in_check_mode_and_fails_in_a_run(node):
    options = {**DOMAINS, "domains": [{"name": "tls.example", "incoming": {}}]}
    (warning,) = run("smtp_domain_policy", node, options, check_mode=True)["warnings"]
    assert warning.startswith(
        "domains: 'tls.example' demands encrypt of incoming mail, but the server offers no STARTTLS"
    )
    with pytest.raises(HardeningError, match="the server offers no STARTTLS"):
        run("smtp_domain_policy", node, options)
    assert read_state(node.postfix).explicit == {"compatibility_level": "3.9"}


@pytest.mark.parametrize(("level", "asked"), [("dane", True), ("dane-only", True), ("encrypt", False)])
def test_a_domain_with_dane_needs_a_resolver_that_validates(node, monkeypatch, level, asked):
    calls = []
    monkeypatch.setattr(resolver, "unmet", lambda state, given: calls.append(given) or "No resolver.")
    names = {"signed": ".", "bogus": "bogus.example"}
    options = {**DOMAINS, "domains": [{"name": "a.example", "level": level}], "dnssec_test": names}
    assert [
        w for w in run("smtp_domain_policy", node, options, check_mode=True)["warnings"] if "No resolver." in w
    ] == (["No resolver. (check mode cannot know whether an earlier task sees to it)"] if asked else [])
    if asked:
        with pytest.raises(HardeningError, match="^No resolver.$"):
            run("smtp_domain_policy", node, options)
    else:
        assert run("smtp_domain_policy", node, options)["changed"]
    assert calls == [names] * (2 if asked else 0)


def test_a_domain_that_has_expired_is_told_with_what_holds_now(node):
    items = [
        {"name": f"{letter}.example", "level": "secure", "route": "[mx.example]", "expires": "2020-01-01"}
        for letter in "abcdefg"
    ]
    result = run("smtp_domain_policy", node, {**DOMAINS, "domains": [*items, {"name": "v.example", "level": "verify"}]})
    assert result["expired"] == [item["name"] for item in items]
    assert [warning.partition(":")[0] for warning in result["warnings"]] == [
        "a.example, b.example, c.example, d.example, e.example and 2 more expired",
        "v.example",
    ]
    assert run("smtp_domain_policy", node, DOMAINS)["expired"] == result["expired"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"unlisted_senders": "refuse"}, "unlisted_senders: 'refuse' is not known; use one of accept, warn, reject."),
        (
            {"policy_sources": ["socketmap:inet:127.0.0.1:8461:postfix", "inline:{ a=b }"]},
            "policy_sources: 'inline:{ a=b }' is not a lookup table; "
            "write type:name, as in socketmap:inet:127.0.0.1:8461:postfix.",
        ),
    ],
)
def test_what_is_asked_beside_domains_is_checked_too(node, given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        run("smtp_domain_policy", node, {**DOMAINS, **given})
    assert str(refusal.value) == sentence
    assert node.commands == []


@pytest.mark.parametrize("unlisted", [None, "accept", "warn"])
def test_unlisted_senders_are_returned(node, unlisted):
    assert run("smtp_domain_policy", node, {**DOMAINS, "unlisted_senders": unlisted})["unlisted_senders"] == (
        unlisted or "accept"
    )
