# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domain
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import validator
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_tls_info
from ansible_collections.mailfleet.smtp_hardening.plugins.modules.smtp_tls_info import Findings, asked, told
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import TODAY, TOMORROW, YESTERDAY


@pytest.mark.parametrize(
    ("over", "expired", "in_force"),
    [
        ({"level": "secure"}, False, "secure"),
        ({"level": "secure", "mode": "testing"}, False, "may"),
        ({"level": "dane", "mode": "testing"}, False, "may"),
        ({"level": "none", "mode": "testing"}, False, "none"),
        ({"local": True}, False, None),
        ({"incoming": {}, "mode": "testing"}, False, None),
        ({"level": "secure", "expires": YESTERDAY}, True, None),
        ({"level": "secure", "mode": "testing", "expires": YESTERDAY}, True, None),
        ({"local": True, "expires": YESTERDAY}, True, None),
        ({"level": "secure", "expires": str(TODAY)}, False, "secure"),
        ({"level": "secure", "expires": TOMORROW}, False, "secure"),
    ],
)
def test_beside_a_record_stands_the_level_that_counts_today(over, expired, in_force):
    record = read_domain("domains[0]", {"name": "x.example", **over})
    found = told(record, TODAY)
    assert (found.pop("expired"), found.pop("in_force")) == (expired, in_force)
    assert found == record.as_facts()


def test_what_is_told_of_a_record_can_be_handed_to_ansible():
    record = read_domain(
        "domains[0]",
        {
            "name": "x.example",
            "level": "secure",
            "match": ["mx.x.example"],
            "minimum_protocol": "TLSv1.3",
            "route": "[mx.x.example]:25",
            "incoming": {"client_certificates": "require"},
            "expires": TOMORROW,
        },
    )
    found = told(record, TODAY)
    assert json.loads(json.dumps(found)) == found


def test_a_silent_source_of_policies_and_a_resolver_that_cannot_be_believed_are_findings(node, monkeypatch):
    node.append("smtp_tls_security_level = dane\n")
    monkeypatch.setattr(
        smtp_tls_info, "ask_sources", lambda postfix, state: {"socketmap:a": "refused", "inline:b": None}
    )
    monkeypatch.setattr(smtp_tls_info.resolver, "_resolvers", lambda state: ["127.0.0.1"])
    monkeypatch.setattr(validator, "why_not", lambda addresses, names: f"it does not refuse {names.bogus}")
    findings = Findings()
    asked(node.postfix, node.state, {"dnssec_test": {"signed": ".", "bogus": "spoiled.test"}}, TODAY, findings)
    assert [finding["about"] for finding in findings.found] == ["policy_sources", "resolver"]
    assert findings.found[0]["problem"] == (
        "socketmap:a in smtp_tls_policy_maps gives Postfix no answer, and mail waits: refused"
    )
    assert "it does not refuse spoiled.test" in findings.found[1]["problem"]
