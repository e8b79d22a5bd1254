# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module has in common: a check mode that tells the truth, and the results that it documents."""

from __future__ import annotations

import os

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import (
    CERTIFICATE,
    DOMAINS,
    MODE,
    PROBE,
    SETTINGS,
    load,
    run,
)

AUTHOR, TIME = Author("smtp_settings", "Name it"), "2026-11-24T12:00:00Z"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("smtp_settings", SETTINGS),
        ("smtp_domain_policy", DOMAINS),
        ("smtp_tls_cert", CERTIFICATE),
        ("smtp_tls_mode", {**MODE, "client": {"level": "may"}}),
    ],
)
def test_check_mode_tells_of_a_change_a_run_makes_it_and_a_second_run_has_none(node, name, options):
    before = read_state(node.postfix)
    foreseen = run(name, node, options, check_mode=True)
    assert read_state(node.postfix) == before
    assert not os.path.exists(before.store)
    done = run(name, node, options)
    assert (foreseen["changed"], done["changed"], run(name, node, options)["changed"]) == (True, True, False)
    assert foreseen["pending"] == done["pending"]
    assert (foreseen["proof"], done["proof"]) == ([], [{"service": "smtp/inet"}])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("smtp_settings", SETTINGS),
        ("smtp_domain_policy", DOMAINS),
        ("smtp_tls_cert", CERTIFICATE),
        ("smtp_rollback", {"to": 1, "allow_weaker": False, "task": None}),
        ("smtp_tls_info", {}),
        ("smtp_tls_mode", {**MODE, "client": {"level": "may"}}),
        ("smtp_tls_probe", {**PROBE, "targets": []}),
    ],
)
def test_a_module_returns_what_it_documents(node, name, options):
    contents = node.state.contents
    history.record(node.config_dir, AUTHOR, TIME, summary="set: myhostname", proven=True, contents=contents)
    documented = set(yaml.safe_load(load(name).RETURN)) - {"restored", "signing_request", "interrupted"}
    assert documented <= set(run(name, node, options))
    assert set(run(name, node, options)) <= documented | {"changed", "diff", "warnings"}
