# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back, and what is said of it."""

from __future__ import annotations

import os

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import CERTIFICATE, SETTINGS, host, run


def test_a_rollback_brings_the_state_before_and_a_second_one_goes_forward_again(node):
    host(node, "mx8")
    host(node, "mx9")
    back = {"to": None, "allow_weaker": False, "task": "Undo it"}
    names = []
    for _turn in range(3):
        result = run("smtp_rollback", node, back)
        assert (result["changed"], result["proof"]) == (True, [{"service": "smtp/inet"}])
        names.append((result["to"]["number"], read_state(node.postfix).explicit["myhostname"]))
    assert names == [(2, "mx8"), (3, "mx9"), (4, "mx8")]


def test_a_rollback_to_the_state_of_now_changes_nothing(node):
    host(node, "mx8")
    before = picture(node.config_dir)
    result = run("smtp_rollback", node, {"to": 2, "allow_weaker": False, "task": None})
    assert (result["changed"], result["to"]["task"]) == (False, "Call it mx8")
    assert picture(node.config_dir) == before


def test_a_rollback_takes_back_what_was_done_by_hand_and_remembers_it(node):
    host(node, "mx8")
    node.append("relayhost = [by.hand.example]\n")
    result = run("smtp_rollback", node, {"to": 1, "allow_weaker": False, "task": None})
    assert result["pending"]["contents"] == ["main.cf"]
    assert read_state(node.postfix).explicit == {"compatibility_level": "3.9"}
    assert [(past.number, past.proven) for past in history.past(node.config_dir)] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
    ]


def test_a_rollback_brings_back_the_certificate_that_its_state_named(node):
    first = run("smtp_tls_cert", node, CERTIFICATE)["chain_file"]
    second = run("smtp_tls_cert", node, {**CERTIFICATE, "self_signed": {**SMALL, "key_size": 384}})
    assert second["chain_file"] != first
    run("smtp_rollback", node, {"to": None, "allow_weaker": False, "task": None})
    assert read_state(node.postfix).explicit["smtpd_tls_chain_files"] == first
    assert os.path.exists(first)


def test_a_rollback_in_check_mode_tells_and_changes_nothing(node):
    host(node, "mx8")
    before = picture(node.config_dir)
    result = run("smtp_rollback", node, {"to": 1, "allow_weaker": False, "task": None}, check_mode=True)
    assert (result["changed"], result["proof"], result["restart_needed"]) == (True, [], False)
    assert picture(node.config_dir) == before


def test_a_rollback_tells_no_password(node):
    for value in ("ann:pass word", "ann:other pass"):
        secrets = {"smtp_sasl_password_maps": {"mx.provider.example": value}}
        run("smtp_settings", node, {**SETTINGS, "secrets": secrets})
    result = run("smtp_rollback", node, {"to": None, "allow_weaker": False, "task": None})
    assert result["changed"] is True
    assert "ann:" not in str(result)
    assert read_state(node.postfix).explicit["smtp_sasl_password_maps"].endswith("/secrets/1/smtp_sasl_password_maps")
