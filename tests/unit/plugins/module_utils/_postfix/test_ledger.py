# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.ledger import (
    Entry,
    Ledger,
    Theirs,
    give_back,
    read_ledger,
)

SERVICES = "smtp inet n - y - - smtpd\n"
SUBMISSION = "submission inet n - y - - smtpd\n"


def at(node, text, services=SERVICES):
    node.write(text)
    node.services = services
    return node.state


def entries(node, *changes):
    """The ledger after changes of ours, each (before, after) of main.cf."""
    ledger = Ledger()
    for before, after in changes:
        ledger = ledger.after(at(node, before), at(node, after))
    return ledger.parameters


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ([("a = 1\n", "a = 2\n")], {"a": (("1", "2"))}),
        ([("", "a = 2\n")], {"a": (None, "2")}),
        ([("a = 1\n", "")], {"a": ("1", None)}),
        ([("a = 1\n", "a = 2\n"), ("a = 2\n", "a = 3\n")], {"a": ("1", "3")}),
        ([("a = 1\n", "a = 2\n"), ("a = 2\n", "a = 1\n")], {}),
        ([("a = 1\n", "a = 2\n"), ("a = theirs\n", "a = 3\n")], {"a": ("theirs", "3")}),
        ([("a = 1\n", "a = 2\n"), ("a = theirs\n", "a = theirs\nb = 1\n")], {"a": ("1", "2"), "b": (None, "1")}),
        ([("b = theirs\n", "b = theirs\na = 1\n")], {"a": (None, "1")}),
    ],
)
def test_what_we_set_is_kept_with_what_was_found(node, changes, kept):
    assert entries(node, *changes) == kept


def test_entries_of_master_cf_are_kept_too(node):
    ledger = Ledger().after(at(node, ""), at(node, "", SERVICES + SUBMISSION))
    assert ledger.services == {"submission/inet": (None, SUBMISSION.strip())}


@pytest.mark.parametrize(
    ("now", "back", "theirs"),
    [
        ("a = 2\nb = 2\n", {"a": "1", "b": None}, []),
        ("a = 1\n", {}, []),
        ("a = 2\nb = own\n", {"a": "1"}, [Theirs("main.cf", "b", "own", "2", None)]),
        ("b = 2\n", {"b": None}, [Theirs("main.cf", "a", None, "2", "1")]),
    ],
)
def test_what_is_as_we_made_it_goes_back_and_what_is_not_stays(node, now, back, theirs):
    ledger = Ledger({"a": Entry("1", "2"), "b": Entry(None, "2")}, {"x/inet": Entry(None, "x inet n - y - - smtpd")})
    found = give_back(ledger, at(node, now))
    assert (found.parameters, found.services, found.theirs) == (back, {}, theirs)
    with_service = give_back(ledger, at(node, now, SERVICES + "x inet n - y - - smtpd\n"))
    assert with_service.services == {"x/inet": None}


@pytest.mark.parametrize("edited", [True, False])
def test_a_ledger_reads_back(edited):
    ledger = Ledger({"a": Entry("1", None)}, {"b/unix": Entry(None, "b")}, edited)
    assert read_ledger(json.loads(json.dumps(ledger.as_facts()))) == ledger
