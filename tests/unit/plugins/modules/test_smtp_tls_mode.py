# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mode returns and refuses, and that pinned keys and a mode leave each other alone."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import task
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
