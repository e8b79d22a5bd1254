# SPDX-License-Identifier: GPL-3.0-or-later
"""Where mail goes next, as trivial-rewrite(8) decides it (resolve.c, transport.c, mail_addr_find.c, match_list.c)."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.routing import (
    Choice,
    choices,
    class_transport,
    is_listed,
    keys_for,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    table,
)

ANN = "ann@a.example"
HUB = "[hub.example]:587"


def route(node, parameters, address=ANN):
    """Transport, next hop and what has chosen it, for most senders."""
    first = choices(configured(node, parameters), address)[0]
    return first.transport, first.next_hop, first.by


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ("smtp", "a.example", "default_transport")),
        ({"relayhost": HUB}, ("smtp", HUB, "relayhost")),
        ({"default_transport": "relay"}, ("relay", "a.example", "default_transport")),
        ({"default_transport": "relay", "relayhost": HUB}, ("relay", HUB, "relayhost")),
        ({"default_transport": "smtp:[own.example]"}, ("smtp", "[own.example]", "default_transport")),
        ({"default_transport": "smtp:[own.example]", "relayhost": HUB}, ("smtp", "[own.example]", "default_transport")),
        ({"default_transport": "smtp:", "relayhost": HUB}, ("smtp", HUB, "relayhost")),
        ({"default_transport": "error:5.7.1 no mail"}, ("error", "5.7.1 no mail", "default_transport")),
        ({"relay_domains": "a.example"}, ("relay", "a.example", "relay_transport")),
        ({"relay_domains": "a.example", "relayhost": HUB}, ("relay", HUB, "relayhost")),
        (
            {"relay_domains": "a.example", "relay_transport": "smtp:[own.example]"},
            ("smtp", "[own.example]", "relay_transport"),
        ),
        ({"mydestination": "a.example"}, ("local", "mx1.example.com", "local_transport")),
        (
            {"mydestination": "a.example", "local_transport": "lmtp:unix:private/x"},
            ("lmtp", "unix:private/x", "local_transport"),
        ),
        (
            {"mydestination": "a.example", "local_transport": "smtp", "relayhost": HUB},
            ("smtp", "a.example", "local_transport"),
        ),
        ({"virtual_mailbox_domains": "a.example", "relayhost": HUB}, ("virtual", "a.example", "virtual_transport")),
        (
            {"virtual_mailbox_domains": "a.example", "virtual_transport": "lmtp:[store.example]:24"},
            ("lmtp", "[store.example]:24", "virtual_transport"),
        ),
        (
            {"virtual_alias_domains": "a.example"},
            ("error", "User unknown in virtual alias table", "virtual_alias_domains"),
        ),
    ],
)
def test_mail_goes_where_the_class_of_its_domain_sends_it(node, parameters, expected):
    assert route(node, parameters) == expected


@pytest.mark.parametrize(
    ("lists", "parameter"),
    [
        ({}, "default_transport"),
        ({"relay_domains": "a.example"}, "relay_transport"),
        ({"relay_domains": "a.example", "virtual_mailbox_domains": "a.example"}, "virtual_transport"),
        ({"virtual_mailbox_domains": "a.example", "virtual_alias_domains": "a.example"}, ""),
        ({"virtual_alias_domains": "a.example", "mydestination": "a.example"}, "local_transport"),
    ],
)
def test_of_the_lists_of_domains_the_first_counts(node, lists, parameter):
    assert class_transport(configured(node, lists), "a.example") == parameter


DEFAULT = ("smtp", "a.example", "default_transport")
BY_TABLE = "transport_maps"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({}, DEFAULT),
        ({"a.example": "smtp:[x.example]"}, ("smtp", "[x.example]", BY_TABLE)),
        ({"a.example": "slow:"}, ("slow", "a.example", BY_TABLE)),
        ({"a.example": "slow"}, ("slow", "a.example", BY_TABLE)),
        ({"a.example": ":[x.example]"}, ("smtp", "[x.example]", BY_TABLE)),
        ({"a.example": ":"}, DEFAULT),
        ({"a.example": ":", "*": "smtp:[x.example]"}, DEFAULT),
        ({"a.example": "error:"}, ("error", "Address is undeliverable", BY_TABLE)),
        ({"a.example": "retry:"}, ("retry", "Address is undeliverable", BY_TABLE)),
        ({"a.example": "retry:4.3.0 later"}, ("retry", "4.3.0 later", BY_TABLE)),
        ({"a.example": "discard:"}, ("discard", "a.example", BY_TABLE)),
        ({"ann@a.example": "smtp:[ann]", "a.example": "smtp:[all]"}, ("smtp", "[ann]", BY_TABLE)),
        ({"bob@a.example": "smtp:[bob]", "a.example": "smtp:[all]"}, ("smtp", "[all]", BY_TABLE)),
        ({"bob@a.example": "smtp:[bob]"}, DEFAULT),
        ({".example": "smtp:[below]"}, ("smtp", "[below]", BY_TABLE)),
        ({"example": "smtp:[above]"}, DEFAULT),
        ({".a.example": "smtp:[below]"}, DEFAULT),
        ({"*": "smtp:[rest]"}, ("smtp", "[rest]", BY_TABLE)),
        ({"*": "slow:"}, ("slow", "a.example", BY_TABLE)),
        ({"*": "smtp:[rest]", "a.example": "smtp:[all]"}, ("smtp", "[all]", BY_TABLE)),
        ({"b.example": "smtp:[other]"}, DEFAULT),
        ({"a.example": "lmtp:inet:[::1]:24"}, ("lmtp", "inet:[::1]:24", BY_TABLE)),
    ],
)
def test_an_entry_of_transport_maps_takes_mail_from_its_way(node, rows, expected):
    assert route(node, {"transport_maps": table(node, "transport", rows)}) == expected


@pytest.mark.parametrize(
    ("delimiter", "address", "next_hop"),
    [
        ("+", "ann+news@a.example", "[ann]"),
        ("+-", "ann-news@a.example", "[ann]"),
        ("+", "ann-news@a.example", "[all]"),
        ("", "ann+news@a.example", "[all]"),
        ("+", "bob+news@a.example", "[news]"),
        ("+", "+news@a.example", "[all]"),
    ],
)
def test_an_address_with_an_extension_stands_for_the_one_without_it(node, delimiter, address, next_hop):
    rows = {"ann@a.example": "smtp:[ann]", "bob@a.example": "smtp:[bob]", "bob+news@a.example": "smtp:[news]"}
    parameters = {"transport_maps": table(node, "transport", {**rows, "a.example": "smtp:[all]"})}
    assert route(node, {**parameters, "recipient_delimiter": delimiter}, address)[1] == next_hop


@pytest.mark.parametrize(
    ("parents", "address", "expected"),
    [
        ("", "ann@b.a.example", "[dotted]"),
        ("transport_maps", "ann@b.a.example", "[bare]"),
        ("relay_domains", "ann@b.a.example", "[dotted]"),
        ("", "ann@c.b.a.example", "[dotted]"),
        ("", "ann@a.example", "[bare]"),
    ],
)
def test_an_entry_stands_for_names_below_a_domain_with_a_dot_or_where_parents_match(node, parents, address, expected):
    rows = {"a.example": "smtp:[bare]", ".a.example": "smtp:[dotted]"}
    parameters = {"transport_maps": table(node, "transport", rows), "parent_domain_matches_subdomains": parents}
    assert route(node, parameters, address) == ("smtp", expected, BY_TABLE)


def test_the_nearest_domain_above_counts_most(node):
    rows = {".example": "smtp:[far]", ".a.example": "smtp:[near]"}
    parameters = {"transport_maps": table(node, "transport", rows)}
    assert route(node, parameters, "ann@b.a.example")[1] == "[near]"
    configuration = configured(node)
    assert keys_for(configuration, "ann@b.a.example") == [
        "ann@b.a.example",
        "b.a.example",
        ".a.example",
        ".example",
        "*",
    ]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"relayhost": HUB}, ("smtp", "[x.example]", BY_TABLE)),
        ({"relay_domains": "a.example", "relayhost": HUB}, ("relay", "[x.example]", BY_TABLE)),
        ({"mydestination": "a.example"}, ("local", "[x.example]", BY_TABLE)),
        (
            {"virtual_alias_domains": "a.example"},
            ("error", "User unknown in virtual alias table", "virtual_alias_domains"),
        ),
    ],
)
def test_an_entry_without_a_transport_leaves_the_one_of_the_class(node, parameters, expected):
    rows = {"transport_maps": table(node, "transport", {"a.example": ":[x.example]"})}
    assert route(node, {**rows, **parameters}) == expected


@pytest.mark.parametrize(
    ("maps", "next_hop"),
    [
        ("static:smtp:[every]", "[every]"),
        ("inline:{ a.example=smtp:[own] }", "[own]"),
        ("inline:{ { a.example = smtp:[own] }, b.example=slow: }", "[own]"),
        ("pcre:{ {/@a[.]example$/ smtp:[whole]} }", "[whole]"),
        ("pcre:{ {/^a[.]example$/ smtp:[part]} }", "a.example"),
        ("regexp:{ {/^[.]example$/ smtp:[part]} }", "a.example"),
        ("pcre:{ {/^[*]$/ smtp:[rest]} }", "[rest]"),
    ],
)
def test_a_pattern_is_asked_for_the_whole_address_and_the_wildcard_alone(node, maps, next_hop):
    assert route(node, {"transport_maps": maps})[1] == next_hop


@pytest.mark.parametrize(
    ("maps", "unknown"),
    [
        ("ldap:/a.cf, {own}", ("transport_maps = ldap:/a.cf",)),
        ("{own}, ldap:/a.cf", ("transport_maps = ldap:/a.cf",)),
        ("{own}", ()),
    ],
)
def test_a_map_that_nobody_can_ask_here_may_send_mail_elsewhere(node, maps, unknown):
    """A table in front of it answers for the domain, but the whole address is asked for before that."""
    own = table(node, "transport", {"a.example": "smtp:[x.example]"})
    configuration = configured(node, {"transport_maps": maps.replace("{own}", own)})
    assert choices(configuration, ANN) == [Choice("smtp", "[x.example]", BY_TABLE, unknown)]


@pytest.mark.parametrize(
    ("parameter", "rows", "others"),
    [
        (
            "sender_dependent_relayhost_maps",
            {"bob@b.example": "[bobs]", "@c.example": "[cs]", "dan@b.example": "DUNNO"},
            [
                ("smtp", "[bobs]", "sender_dependent_relayhost_maps"),
                ("smtp", "[cs]", "sender_dependent_relayhost_maps"),
            ],
        ),
        (
            "sender_dependent_default_transport_maps",
            {"bob@b.example": "slow:", "@c.example": "slow:[own]", "dan@b.example": "dunno"},
            [
                ("slow", HUB, "relayhost"),
                ("slow", "[own]", "sender_dependent_default_transport_maps"),
            ],
        ),
    ],
)
def test_some_senders_mail_takes_another_way(node, parameter, rows, others):
    configuration = configured(node, {parameter: table(node, "senders", rows), "relayhost": HUB})
    first, *rest = choices(configuration, ANN)
    assert (first.transport, first.next_hop, first.by, first.unknown) == ("smtp", HUB, "relayhost", ())
    assert [(choice.transport, choice.next_hop, choice.by) for choice in rest] == others


def test_a_senders_transport_is_not_asked_for_where_the_domain_is_relayed(node):
    senders = table(node, "senders", {"bob@b.example": "slow:[own]"})
    parameters = {"sender_dependent_default_transport_maps": senders, "relay_domains": "a.example"}
    assert [c.transport for c in choices(configured(node, parameters), ANN)] == ["relay"]


def test_no_sender_takes_mail_past_an_entry_that_names_transport_and_next_hop(node):
    parameters = {
        "sender_dependent_relayhost_maps": table(node, "senders", {"bob@b.example": "[bobs]"}),
        "transport_maps": table(node, "transport", {"a.example": "smtp:[x.example]"}),
    }
    assert choices(configured(node, parameters), ANN) == [Choice("smtp", "[x.example]", BY_TABLE)]


@pytest.mark.parametrize(
    ("item", "rows", "unknown"),
    [
        ("ldap:/a.cf", {}, True),
        ("ldap:/a.cf", {"a.example": ":[x.example]"}, True),
        ("ldap:/a.cf", {"a.example": "smtp:[x.example]"}, False),
        ("ldap:/a.cf", {"a.example": "slow:"}, False),
        ("pcre:/a.pcre", {}, True),
    ],
)
@pytest.mark.parametrize("parameter", ["sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"])
def test_senders_that_nobody_can_list_may_take_another_way_unless_an_entry_says_all(
    node, parameter, item, rows, unknown
):
    parameters = {parameter: item, "transport_maps": table(node, "transport", rows)}
    (choice,) = choices(configured(node, parameters), ANN)
    assert choice.unknown == ((f"{parameter} = {item}",) if unknown else ())


@pytest.mark.parametrize(
    ("text", "domain", "listed"),
    [
        ("", "a.example", False),
        ("a.example", "a.example", True),
        ("A.Example", "a.example", True),
        ("a.example", "A.EXAMPLE", True),
        ("b.example, a.example", "a.example", True),
        ("a.example", "b.a.example", True),
        ("a.example", "xa.example", False),
        (".a.example", "b.a.example", False),
        ("!a.example, static:x", "a.example", False),
        ("!a.example, static:x", "b.example", True),
        ("!!a.example", "a.example", True),
        ("static:x, !a.example", "a.example", True),
        ("{own}", "listed.example", True),
        ("{own}", "b.listed.example", True),
        ("!{own} static:x", "listed.example", False),
        ("{own}", "other.example", False),
        ("inline:{ a.example = OK, b.example = OK }", "b.example", True),
        ("inline:{ { a.example = OK } }, c.example", "c.example", True),
        ("pcre:{ {/^a[.]example$/ OK} }", "a.example", True),
        ("pcre:{ {/^a[.]example$/ OK} }", "b.a.example", False),
        ("{file}", "a.example", True),
        ("{file}", "c.example", True),
        ("{file}", "commented.example", False),
        ("!{file}, static:x", "a.example", False),
        ("!{file}, static:x", "b.example", True),
        ("/nowhere/file", "a.example", False),
    ],
)
def test_relay_domains_lists_names_tables_and_files_and_what_is_below_them(node, text, domain, listed):
    own = table(node, "Own", {"listed.example": "OK"})
    file = write(node.path("File"), "a.example, !b.example\n  c.example\n# commented.example\n  # commented.example\n")
    configuration = configured(node, {"relay_domains": text.replace("{own}", own).replace("{file}", file)})
    assert is_listed(configuration, "relay_domains", domain) is listed


@pytest.mark.parametrize(
    ("text", "domain", "listed"),
    [
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", False),
        (".a.example", "b.a.example", True),
        (".a.example", "c.b.a.example", True),
        (".a.example", "a.example", False),
        ("{own}", "listed.example", True),
        ("{own}", "b.listed.example", False),
        ("{own}", "b.dotted.example", True),
    ],
)
def test_a_relayed_domain_stands_for_itself_where_parents_do_not_match(node, text, domain, listed):
    own = table(node, "own", {"listed.example": "OK", ".dotted.example": "OK"})
    parameters = {"relay_domains": text.replace("{own}", own), "parent_domain_matches_subdomains": "mynetworks"}
    assert is_listed(configured(node, parameters), "relay_domains", domain) is listed


@pytest.mark.parametrize("parameter", ["mydestination", "virtual_alias_domains", "virtual_mailbox_domains"])
@pytest.mark.parametrize(
    ("text", "domain", "listed"),
    [
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", False),
        (".a.example", "b.a.example", False),
        ("{own}", "listed.example", True),
        ("{own}", "b.listed.example", False),
    ],
)
def test_in_other_lists_a_domain_stands_for_itself_alone(node, parameter, text, domain, listed):
    own = table(node, "own", {"listed.example": "OK"})
    configuration = configured(node, {parameter: text.replace("{own}", own)})
    assert is_listed(configuration, parameter, domain) is listed
