# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import (
    NOTHING,
    Allowance,
    read_allowance,
)


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "YES", "on", "1", 1, "y", "t", " yes "])
def test_yes_lets_everything_fall(value):
    allowance = read_allowance(value)
    assert allowance == Allowance(everything=True)
    assert allowance.covers("server.level")


@pytest.mark.parametrize("value", [False, "false", "no", "No", "off", "0", 0, "n", "f", "", []])
def test_no_lets_nothing_fall(value):
    assert read_allowance(value) == NOTHING
    assert not NOTHING.covers("server.level")


@pytest.mark.parametrize(
    "value",
    [
        ["client.level", "domain bank.example"],
        ("client.level", "domain bank.example"),
        "client.level,domain bank.example",
        " client.level , domain bank.example ",
    ],
)
def test_items_are_a_list_or_what_ansible_makes_of_one(value):
    assert read_allowance(value).items == {"client.level", "domain bank.example"}


@pytest.mark.parametrize(
    ("names", "item", "covered"),
    [
        (["client.level"], "client.level", True),
        (["client.level"], "client.minimum_protocol", False),
        (["client"], "client.level", True),
        (["client"], "client", True),
        (["client"], "clients.level", False),
        (["relay/unix"], "relay/unix.level", True),
        (["domain bank.example"], "domain bank.example.level", True),
        (["domain bank.example"], "domain bank.example.incoming", True),
        (["domain bank.example"], "domain bank.example.org.level", False),
        (["domain bank.example"], "domain abank.example.level", False),
        (["domain bank.example.level"], "domain bank.example.incoming", False),
        (["bank.example"], "domain bank.example.level", False),
        (["unlisted_senders"], "unlisted_senders", True),
        (["other mail"], "other mail.level", True),
        (["level"], "client.level", False),
        ([], "client.level", False),
    ],
)
def test_an_item_may_fall_that_is_named_or_whose_owner_is(names, item, covered):
    assert read_allowance(names).covers(item) is covered


@pytest.mark.parametrize(
    ("item", "covered"),
    [
        ("server.trust", True),
        ("domain bank.example.trust", True),
        ("server.match", False),
        ("trust", True),
        ("server.trust.level", False),
    ],
)
def test_what_the_task_asks_for_by_name_may_fall_wherever_it_is(item, covered):
    assert read_allowance(False, frozenset(["trust"])).covers(item) is covered
    assert read_allowance(["client"], frozenset(["trust"])).covers(item) is covered


@pytest.mark.parametrize("value", [["client.level", "yes"], [""], "client.level,", "client.level,no", [True]])
def test_a_list_names_items_alone(value):
    with pytest.raises(InvalidValue) as refusal:
        read_allowance(value)
    assert str(refusal.value).startswith("allow_weaker: ")
    assert str(refusal.value).endswith(" names no item; list items as the refusal names them, or set true.")


def test_no_option_is_proposed_that_the_module_does_not_have():
    assert "allow_weaker: [client.level]" in NOTHING.remedy("client.level")
    assert "allow_weaker:" not in Allowance(offered=False).remedy("client.level")
