# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    HardeningError,
    InvalidValue,
    ProofFailed,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import work
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_rollback
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, picture, read, write


def roll_back(node, to=None, allow_weaker=False, check_mode=False):
    options = {"to": to, "allow_weaker": allow_weaker, "task": "Undo it"}
    return smtp_rollback.work(node.postfix, options, check_mode)


def name(node, *names):
    """Let a node go through states in which it has these names."""
    for host in names:
        change(node, Plan(set={"myhostname": host}))


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        (0, "to: 0 is not remembered; the node remembers 1, 2."),
        (-1, "to: -1 is not remembered; the node remembers 1, 2."),
        (3, "to: 3 is not remembered; the node remembers 1, 2."),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_number_that_no_state_has_is_refused_and_nothing_is_changed(node, to, sentence, check_mode):
    name(node, "mx8")
    before = picture(node.config_dir)
    with pytest.raises(InvalidValue) as refusal:
        roll_back(node, to, check_mode=check_mode)
    assert str(refusal.value) == sentence
    assert picture(node.config_dir) == before


def test_a_node_that_remembers_nothing_has_no_state_before(node):
    with pytest.raises(InvalidValue) as refusal:
        roll_back(node)
    assert str(refusal.value) == "to: 'the state before' is not remembered; the node remembers none yet."


def test_what_comes_back_is_told_as_the_state_that_it_was(node):
    name(node, "mx8", "mx9")
    result = roll_back(node, 2)
    assert result["to"] == history.find(node.config_dir, 2).as_facts()
    assert (result["changed"], result["pending"]["contents"]) == (True, ["main.cf"])
    assert (result["restart_needed"], result["warnings"]) == (False, [])
    assert node.state.explicit["myhostname"] == "mx8"


def test_a_rollback_is_a_state_of_its_own_under_the_tasks_name(node):
    name(node, "mx8")
    roll_back(node, 1)
    newest = history.past(node.config_dir)[-1]
    assert (newest.number, str(newest.author), newest.proven) == (3, '"Undo it" (smtp_rollback)', True)
    assert newest.summary == "brought back: main.cf"


def test_a_second_rollback_to_the_same_state_changes_nothing(node):
    name(node, "mx8")
    assert roll_back(node, 1)["changed"] is True
    before = picture(node.config_dir)
    assert roll_back(node, 1)["changed"] is False
    assert picture(node.config_dir) == before


def test_a_state_that_protects_less_comes_back_only_if_that_is_meant(node):
    change(node, Plan(set={"smtpd_tls_security_level": "encrypt"}))
    before = picture(node.config_dir)
    with pytest.raises(HardeningError, match="lower protection: server.level from encrypt to none;"):
        roll_back(node, 1)
    assert picture(node.config_dir) == before
    assert roll_back(node, 1, allow_weaker=True)["changed"] is True
    assert "smtpd_tls_security_level" not in node.state.explicit


def test_a_state_with_an_empty_main_cf_comes_back(node):
    node.write("")
    name(node, "mx8")
    assert roll_back(node, 1)["changed"] is True
    assert read(node.path("main.cf")) == ""


def test_a_service_that_named_a_file_that_is_gone_stays_out_and_the_rest_comes_back(node):
    chain = write(node.store("certificates/a/1.pem"), "key")
    node.override(f"smtp/inet/smtpd_tls_chain_files={chain}")
    name(node, "mx8")
    change(node, Plan(overrides={"smtp/inet/smtpd_tls_chain_files": None}, set={"myhostname": "mx9"}))
    assert os.path.exists(chain)
    os.unlink(chain)
    result = roll_back(node, 2)
    assert result["warnings"] == [
        f"{chain}, which smtp/inet in master.cf named then, is gone; the service stays as it is now."
    ]
    assert node.state.explicit["myhostname"] == "mx8"
    assert node.state.service("smtp", "inet").overrides == {}
    before = picture(node.config_dir)
    assert roll_back(node, 2)["changed"] is False
    assert picture(node.config_dir) == before


def test_a_rollback_that_is_not_proven_is_undone(node, monkeypatch):
    def refuse(postfix, started_with, unproven):
        raise ProofFailed("The wire shows something else.", proof=[1])

    name(node, "mx8")
    before = picture(node.config_dir)
    monkeypatch.setattr(work, "prove", refuse)
    with pytest.raises(ProofFailed) as failure:
        roll_back(node, 1)
    assert failure.value.facts == {"proof": [1], "restored": True}
    assert picture(node.config_dir) == before


@pytest.mark.parametrize("check_mode", [True, False])
def test_interfaces_that_come_back_need_a_restart_with_a_warning(node, check_mode):
    change(node, Plan(set={"inet_interfaces": "loopback-only"}))
    result = roll_back(node, 1, check_mode=check_mode)
    assert (result["changed"], result["restart_needed"], len(result["warnings"])) == (True, True, 1)
