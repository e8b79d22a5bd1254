# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.maps import (
    Answer,
    Maps,
    kind_of,
    path_of,
    split_maps,
    split_words,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.changes import patched
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import Completed, write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import table


@pytest.fixture
def maps(node):
    return Maps(node.postfix, {})


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", ()),
        ("hash:/a", ("hash:/a",)),
        ("hash:/a, lmdb:/b cdb:/c,btree:/d", ("hash:/a", "lmdb:/b", "cdb:/c", "btree:/d")),
        ("inline:{ a.example = b }, hash:/a", ("inline:{ a.example = b }", "hash:/a")),
        ("inline:{ { a = b, c }, { d = e } } hash:/a", ("inline:{ { a = b, c }, { d = e } }", "hash:/a")),
        ("pcre:{ {/^a[.]example$/ secure} }", ("pcre:{ {/^a[.]example$/ secure} }",)),
        ("a.example, hash:/a", ("hash:/a",)),
    ],
)
def test_a_list_of_maps_is_parted_outside_of_braces(text, items):
    assert split_maps(text) == items


def test_a_list_of_domains_keeps_names_beside_maps():
    assert list(split_words("a.example, inline:{ b.example = c } !/file")) == [
        "a.example",
        "inline:{ b.example = c }",
        "!/file",
    ]


@pytest.mark.parametrize(
    ("item", "kind", "path"),
    [
        ("hash:/a", "hash", "/a"),
        ("proxy:hash:/a", "hash", "/a"),
        ("proxy:proxy:ldap:/a.cf", "ldap", "/a.cf"),
        ("static:smtp:[hub]", "static", "smtp:[hub]"),
        ("socketmap:inet:127.0.0.1:8461:postfix", "socketmap", "inet:127.0.0.1:8461:postfix"),
    ],
)
def test_a_map_is_of_a_kind_whoever_asks_on_behalf_of_others(item, kind, path):
    assert (kind_of(item), path_of(item)) == (kind, path)


def test_the_first_map_that_knows_a_key_counts(node, maps):
    first, second = table(node, "first", {"a": "1"}), table(node, "second", {"a": "2", "b": "2"})
    assert maps.find(f"{first}, {second}", "a") == Answer("1")
    assert maps.find(f"{first}, {second}", "b") == Answer("2")
    assert maps.find(f"{first}, {second}", "c") == Answer(None)
    assert maps.find("", "a") == Answer(None)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("inline:{ a.example=secure }", "a.example", "secure"),
        ("inline:{ a.example=secure }", "A.Example", "secure"),
        ("inline:{ { a.example = secure match=b.example }, b.example=may }", "a.example", "secure match=b.example"),
        ("inline:{ a.example=secure }", "b.example", None),
        ("static:encrypt", "whatever.example", "encrypt"),
        ("static:{secure match=b.example}", "whatever.example", "secure match=b.example"),
        ("pcre:{ {/^a[.]/ may} }", "a.example", "may"),
        ("pcre:{ {/^a[.]/ may} }", "b.example", None),
        ("fail:here", "a.example", None),
    ],
)
def test_a_map_that_stands_in_main_cf_itself_answers(maps, text, key, value):
    assert maps.find(text, key) == Answer(value)


@pytest.mark.parametrize("kind", ["btree", "cdb", "dbm", "hash", "lmdb", "sdbm", "texthash"])
@pytest.mark.parametrize("proxy", ["", "proxy:"])
def test_a_table_of_any_kind_of_file_is_asked(node, maps, proxy, kind):
    assert maps.find(f"{proxy}{table(node, 'own', {'a': '1'}, kind)}", "a") == Answer("1")


@pytest.mark.parametrize("suffix", [".cdb", ".db", ".dir", ".lmdb"])
def test_a_table_of_which_only_the_index_is_there_is_asked(node, maps, suffix):
    item = table(node, "own", {"a": "1"})
    os.unlink(node.path("own"))
    os.rename(node.path("own.db"), node.path(f"own{suffix}"))
    assert maps.find(item, "a") == Answer("1")


@pytest.mark.parametrize(
    "item",
    [
        "socketmap:inet:127.0.0.1:8461:postfix",
        "ldap:/etc/postfix/a.cf",
        "proxy:mysql:/etc/postfix/a.cf",
        "tcp:localhost:1234",
        "hash:/nowhere/own",
    ],
)
def test_what_nobody_can_ask_here_is_named_before_the_answer_of_another(node, maps, item):
    own = table(node, "own", {"a": "1"})
    assert maps.find(f"{item}, {own}", "a") == Answer("1", (item,))
    assert maps.find(f"{own}, {item}", "a") == Answer("1")
    assert maps.find(f"{own}, {item}", "b") == Answer(None, (item,))


def test_a_table_that_fails_is_one_that_nobody_can_ask(node):
    item = table(node, "own", {"a": "1"})
    broken = patched(node, lambda argv: Completed(75, "", "fatal: open") if argv[0] == "postmap" else None)
    maps = Maps(broken, {})
    assert maps.find(item, "a") == Answer(None, (item,))
    assert maps.entries(item) == {}


@pytest.mark.parametrize("text", ["pcre:{ {/example/ may} }", "regexp:{ {/example/ may} }"])
def test_a_pattern_is_not_asked_for_a_part_of_an_address(maps, text):
    assert maps.find(text, "a.example", whole=False) == Answer(None)
    assert maps.find(text, "a.example") == Answer("may")


@pytest.mark.parametrize("text", ["static:may", "inline:{ a.example=may }"])
def test_a_fixed_key_is_asked_for_parts_of_an_address_too(maps, text):
    """DICT_FLAG_FIXED, which static: has as well (dict_static.c)."""
    assert maps.find(text, "a.example", whole=False) == Answer("may")


def test_many_keys_are_asked_at_once_and_none_twice(node, maps):
    item = table(node, "own", {"a": "1", "b": "2"})
    del node.commands[:]
    maps.prepare(item, ["a", "b", "a", "c"])
    assert [maps.find(item, key).value for key in "abc"] == ["1", "2", None]
    assert node.asked("postmap") == [item]
    assert maps.find(item, "d").value is None
    assert node.asked("postmap") == [item, item]


def test_a_planned_table_answers_before_it_is_written(node):
    maps = Maps(node.postfix, {"/new": b"# head\na.example\tmay\n"})
    assert maps.find("hash:/new", "A.example") == Answer("may")
    assert maps.find("hash:/new", "b.example") == Answer(None)
    assert maps.entries("hash:/new") == {"a.example": "may"}
    assert maps.unlisted("hash:/new") == []
    assert not node.asked("postmap")


def test_a_planned_table_takes_the_place_of_the_one_that_lies_there(node):
    item = table(node, "own", {"a.example": "secure"})
    maps = Maps(node.postfix, {}).beside({node.path("own"): b"a.example\tmay\n"})
    assert maps.find(item, "a.example") == Answer("may")


def test_entries_of_indexed_tables_are_listed_the_first_for_a_key_counting(node, maps):
    first, second = table(node, "first", {"a": "1"}), table(node, "second", {"a": "2", "b": "2"})
    del node.commands[:]
    for _again in range(2):
        assert maps.entries(f"{first}, static:x, hash:/nowhere/own, {second}") == {"a": "1", "b": "2"}
    assert node.asked("postmap") == [first, second], "each is listed once"


@pytest.mark.parametrize(
    ("item", "listed"),
    [
        ("static:x", False),
        ("inline:{ a=b }", True),
        ("pcre:/etc/postfix/a.pcre", False),
        ("texthash:{own}", True),
        ("ldap:/a.cf", False),
        ("hash:/nowhere/own", False),
        ("hash:{own}", True),
        ("proxy:lmdb:{own}", True),
    ],
)
def test_a_map_whose_entries_nobody_can_list_is_told(node, maps, item, listed):
    write(node.path("own"), "")
    named = item.replace("{own}", node.path("own"))
    assert maps.unlisted(named) == ([] if listed else [named])
