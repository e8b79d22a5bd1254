# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_history_table import FilterModule, history_table
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.filter.table_rows import rows

STATE = {
    "number": 3,
    "time": "2026-11-24T12:00:00Z",
    "module": "smtp_tls_mode",
    "task": "Set it",
    "summary": "set: smtpd_tls_security_level",
    "proven": True,
}


@pytest.mark.parametrize(
    ("over", "cells"),
    [
        ({}, ["3", "2026-11-24T12:00:00Z", "yes", "Set it", "set: smtpd_tls_security_level"]),
        ({"task": None}, ["3", "2026-11-24T12:00:00Z", "yes", "smtp_tls_mode", "set: smtpd_tls_security_level"]),
        ({"proven": False}, ["3", "2026-11-24T12:00:00Z", "no", "Set it", "set: smtpd_tls_security_level"]),
        ({"summary": "x" * 100}, ["3", "2026-11-24T12:00:00Z", "yes", "Set it", "x" * 100]),
        ({"summary": "x" * 101}, ["3", "2026-11-24T12:00:00Z", "yes", "Set it", "x" * 99 + "…"]),
    ],
)
def test_a_state_that_a_node_remembers_is_a_row(over, cells):
    hostvars = {"mx1": {"smtp_rollback_info": {"history": [{**STATE, **over}]}}}
    assert rows(history_table(["mx1"], hostvars))[2] == ["mx1", *cells]


def test_states_stand_by_node_oldest_first():
    info = {"smtp_rollback_info": {"history": [{**STATE, "number": number} for number in (1, 2)]}}
    seen = rows(history_table(["mx1", "mx2", "mx3"], {"mx1": info, "mx2": {}, "mx3": info}))[2:]
    assert [row[:2] for row in seen] == [["mx1", "1"], ["mx1", "2"], ["mx3", "1"], ["mx3", "2"]]


@pytest.mark.parametrize("hostvars", [{}, {"smtp_rollback_info": {}}, {"smtp_rollback_info": {"history": []}}])
def test_nodes_that_remember_nothing_are_told_in_a_sentence(hostvars):
    said = history_table(["mx1"], {"mx1": hostvars})
    assert said == "No node remembers a state: nothing has been changed yet."


def test_the_table_of_states_is_a_filter():
    assert FilterModule().filters() == {"smtp_history_table": history_table}
