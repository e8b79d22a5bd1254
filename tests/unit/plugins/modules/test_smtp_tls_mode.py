# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mode changes, returns and refuses."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import resolver
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import MODE, run


def test_a_mode_whose_certificate_is_missing_warns_in_check_mode_and_fails_in_a_run(node):
    options = {**MODE, "profile": "lenient_default"}
    warnings = run("smtp_tls_mode", node, options, check_mode=True)["warnings"]
    assert any("no certificate is active for the server" in warning for warning in warnings)
    with pytest.raises(HardeningError, match="run smtp_tls_cert with use: \\[server\\] first"):
        run("smtp_tls_mode", node, options)
    assert read_state(node.postfix).explicit == {"compatibility_level": "3.9"}


def test_a_mode_returns_the_policies_before_and_after(tls_node):
    result = run("smtp_tls_mode", tls_node, {**MODE, "server": {"level": "encrypt", "minimum_protocol": "TLSv1.3"}})
    assert result["before"]["server"]["level"] == "none"
    assert result["after"]["server"]["level"] == "encrypt"
    assert result["after"]["server"]["minimum_protocol"] == "TLSv1.3"
    assert result["before"]["client"] == result["after"]["client"]


@pytest.mark.parametrize(
    "client", [{"profile": "lenient_default"}, {"client": {"level": "encrypt", "match": []}}], ids=["profile", "level"]
)
def test_pinned_keys_and_a_mode_that_matches_nobody_leave_each_other_alone(tls_node, client):
    pinning = task("stored", name="fleet", trust={"pins": [":".join(["0A"] * 32)]})
    run("smtp_tls_cert", tls_node, pinning)
    run("smtp_tls_mode", tls_node, {**MODE, **client})
    assert run("smtp_tls_cert", tls_node, pinning, check_mode=True)["pending"]["set"] == {}


@pytest.mark.parametrize(
    ("client", "asked"),
    [
        ({"level": "dane"}, True),
        ({"level": "dane-only"}, True),
        ({"level": "encrypt"}, False),
        ({"level": "may"}, False),
    ],
)
def test_dane_is_switched_on_only_where_a_resolver_validates(node, monkeypatch, client, asked):
    calls = []
    monkeypatch.setattr(resolver, "unmet", lambda state, given: calls.append(given) or "No resolver.")
    options = {**MODE, "client": client, "dnssec_test": {"signed": ".", "bogus": "bogus.example"}}
    warnings = run("smtp_tls_mode", node, options, check_mode=True)["warnings"]
    assert ["No resolver." in warning for warning in warnings].count(True) == asked
    if asked:
        with pytest.raises(HardeningError, match=r"^No resolver\.$"):
            run("smtp_tls_mode", node, options)
        assert "smtp_tls_security_level" not in node.state.explicit
    else:
        assert run("smtp_tls_mode", node, options)["changed"]
    assert calls == [options["dnssec_test"]] * (2 if asked else 0)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("server", "lowered"),
    [({"level": "may"}, "server.level from encrypt to may"), ({"minimum_protocol": "TLSv1.2"}, "TLSv1.3 to TLSv1.2")],
)
def test_a_mode_protects_less_than_before_only_where_that_is_meant(tls_node, server, lowered, check_mode):
    run("smtp_tls_mode", tls_node, {**MODE, "server": {"level": "encrypt", "minimum_protocol": "TLSv1.3"}})
    before = picture(tls_node.config_dir)
    with pytest.raises(HardeningError, match=f"^This would lower protection: .*{lowered}"):
        run("smtp_tls_mode", tls_node, {**MODE, "server": server}, check_mode)
    assert picture(tls_node.config_dir) == before
    allowed = {**MODE, "server": server, "allow_weaker": "server"}
    assert all(item["name"].startswith("server.") for item in run("smtp_tls_mode", tls_node, allowed, True)["lowered"])
    assert run("smtp_tls_mode", tls_node, {**MODE, "server": server, "allow_weaker": True}, check_mode)["changed"]


def test_a_listener_may_differ_from_the_rest_and_stays_so(tls_node):
    tls_node.services += "submission inet n - y - - smtpd\n"
    options = {**MODE, "server": {"level": "may"}, "services": [{"name": "submission", "level": "encrypt"}]}
    assert run("smtp_tls_mode", tls_node, options)["changed"]
    assert tls_node.state.service("submission", "inet").overrides == {"smtpd_tls_security_level": "encrypt"}
    assert not run("smtp_tls_mode", tls_node, options)["changed"]


def test_a_mode_is_remembered_under_the_name_of_its_task(tls_node):
    run("smtp_tls_mode", tls_node, {**MODE, "server": {"level": "may"}, "task": "Offer TLS"})
    newest = history.past(tls_node.config_dir)[-1]
    assert (str(newest.author), newest.proven) == ('"Offer TLS" (smtp_tls_mode)', True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"services": [{"name": "no such", "level": "encrypt"}]}, r"services\[0\]"),
        ({"client": {"level": "encrypt", "match": ["not a name!"]}}, "client.match"),
    ],
)
def test_a_mode_that_cannot_be_meant_is_refused_before_the_node_is_read(node, options, sentence):
    with pytest.raises(HardeningError, match=sentence):
        run("smtp_tls_mode", node, {**MODE, **options})
    assert node.commands == []
