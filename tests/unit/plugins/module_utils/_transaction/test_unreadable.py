# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import (
    Unreadable,
    is_readable,
    read_state,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.unreadable import (
    main_cf_alone,
    now_or_remembered,
    remembered,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.changes import patched
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, read

BROKEN = "half a line\n"


@pytest.fixture
def breakable(node):
    """A Postfix whose postconf reads no file with half a line in it."""

    def answer(argv):
        folder = argv[2] if argv[0] == "postconf" else ""
        broken = [name for name in ("main.cf", "master.cf") if BROKEN in _content(folder, name)]
        return Completed(1, "", f"postconf: fatal: {folder}/{broken[0]}, line 3: half a line") if broken else None

    return patched(node, answer)


def _content(folder, name):
    path = os.path.join(folder, name)
    return read(path) if folder and os.path.exists(path) else ""


def spoil(node, name):
    with open(node.path(name), "a", encoding="utf-8") as handle:
        handle.write(BROKEN)


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_what_cannot_be_read_is_told_with_the_line_and_a_remedy(node, breakable, name):
    assert is_readable(breakable)
    spoil(node, name)
    assert not is_readable(breakable)
    with pytest.raises(Unreadable) as problem:
        read_state(breakable)
    assert f"{name}, line 3" in str(problem.value) and "smtp_rollback" in str(problem.value)


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_the_newest_state_that_is_remembered_stands_for_what_nobody_can_read(node, breakable, name):
    change(node, Plan(set={"smtpd_tls_security_level": "encrypt"}))
    spoil(node, name)
    found = now_or_remembered(breakable)
    assert found.config_dir == node.config_dir
    assert found.effective["smtpd_tls_security_level"] == "encrypt"
    assert BROKEN.encode() in found.contents[name]


def test_without_a_memory_the_problem_itself_is_told(node, breakable):
    spoil(node, "master.cf")
    with pytest.raises(Unreadable, match=r"master\.cf, line 3"):
        now_or_remembered(breakable)


def test_what_can_be_read_needs_nothing_to_stand_for_it(node):
    assert now_or_remembered(node.postfix) == node.state


def test_a_remembered_state_reads_as_in_its_place(node):
    change(node, Plan(set={"smtpd_tls_CAfile": "$config_directory/ca.pem"}))
    past = history.past(node.config_dir)[-1]
    assert remembered(node.postfix, past).effective["smtpd_tls_CAfile"] == node.path("ca.pem")


def test_main_cf_is_read_alone_where_master_cf_is_broken(node, breakable):
    node.append("smtpd_tls_security_level = may\n")
    spoil(node, "master.cf")
    alone = main_cf_alone(breakable, Unreadable("why", node.config_dir))
    assert (alone.effective["smtpd_tls_security_level"], alone.services) == ("may", ())
    assert BROKEN.encode() in alone.contents["master.cf"]


def test_main_cf_that_is_broken_itself_is_no_state(node, breakable):
    spoil(node, "main.cf")
    with pytest.raises(Unreadable, match="^why "):
        main_cf_alone(breakable, Unreadable("why", node.config_dir))
