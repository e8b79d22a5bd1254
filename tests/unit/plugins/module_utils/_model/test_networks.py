# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.networks import (
    are_written_out,
    check_networks,
    public_networks,
    read_network,
)

OWN = ["127.0.0.0/8", "[::1]/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.7.0/24", "100.64.0.0/10", "[fd00:1::]/32"]
OWN += ["[::ffff:127.0.0.0]/104", "[::ffff:10.0.0.0]/104"]
NO_RANGES = [
    "198.51.100.7",
    "198.51.100.7/32",
    "[2001:db8::7]",
    "[2001:db8::7]/128",
    "!198.51.100.0/24",
    "cidr:/etc/postfix/own",
    "/etc/hosts",
]


@pytest.mark.parametrize("network", [*OWN, *NO_RANGES])
def test_hosts_of_this_network_and_single_hosts_may_relay(network):
    check_networks("parameters.mynetworks", f"127.0.0.0/8, {network}", [])


@pytest.mark.parametrize("network", ["0.0.0.0/0", "[::]/0", "::/0", "1.2.3.4/0"])
@pytest.mark.parametrize("confirmed", [[], ["0.0.0.0/0", "::/0"]])
def test_everybody_never_relays(network, confirmed):
    with pytest.raises(InvalidValue, match="lets everybody relay"):
        check_networks("parameters.mynetworks", f"127.0.0.0/8 {network}", confirmed)


PUBLIC = [
    "198.51.100.0/24",
    "198.51.100.7/24",
    "[2001:db8::]/32",
    "[2001:db8::]/64",
    "0.0.0.0/1",
    "10.0.0.0/7",
    "172.16.0.0/11",
    "[fc00::]/6",
    "[::ffff:198.51.100.0]/120",
    "[::ffff:0:0]/95",
]


@pytest.mark.parametrize("network", PUBLIC)
def test_a_public_range_relays_only_where_that_is_confirmed(network):
    with pytest.raises(InvalidValue, match="is a public range.*public_networks"):
        check_networks("parameters.mynetworks", network, ["192.0.2.0/24", "garbage"])
    check_networks("parameters.mynetworks", network, [network])


def test_a_confirmed_range_covers_what_lies_in_it_and_nothing_above_it():
    check_networks("parameters.mynetworks", "198.51.100.0/25", ["198.51.100.0/24"])
    with pytest.raises(InvalidValue):
        check_networks("parameters.mynetworks", "198.51.100.0/23", ["198.51.100.0/24"])


@pytest.mark.parametrize("network", ["fd00:1::/32", "2001:db8::7", "::1", "::ffff:127.0.0.0/104"])
def test_an_ipv6_address_without_brackets_is_refused(network):
    with pytest.raises(InvalidValue, match=r"would be the name of a table to Postfix; put the IPv6 address in \[\]"):
        check_networks("parameters.mynetworks", f"127.0.0.0/8 {network}", [network])


def test_what_debian_writes_into_main_cf_lets_nobody_else_relay():
    assert public_networks("127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128") == frozenset()
    assert public_networks("[::ffff:198.51.100.0]/120") == {"198.51.100.0/24"}


def test_no_networks_at_all_are_fine():
    check_networks("parameters.mynetworks", None, [])
    check_networks("parameters.mynetworks", "", [])


EVERYBODY = [
    "0.0.0.0/0",
    "0.0.0.0/00",
    "[0.0.0.0]/0",
    "0.0.0.0/0.0.0.0",
    "198.51.100.7/0",
    "[::]/0",
    "[::ffff:0.0.0.0]/0",
    "[::ffff:0.0.0.0]/96",
    "[2001:db8::7]/0",
]


@pytest.mark.parametrize("network", EVERYBODY)
@pytest.mark.parametrize("list_", ["{}", "127.0.0.0/8, {}", "127.0.0.0/8 {}", "{},127.0.0.0/8", "!10.0.0.1,{},/own"])
def test_an_open_relay_is_refused_however_it_is_spelt_and_wherever_it_stands(network, list_):
    with pytest.raises(InvalidValue) as refusal:
        check_networks("parameters.mynetworks", list_.format(network), [network])
    assert str(refusal.value) == (
        f"parameters.mynetworks: {network!r} lets everybody relay; list the networks of your own hosts."
    )


NOBODY_ELSES = [
    "127.0.0.1/8",
    "127.0.0.128/25",
    "10.255.255.254/31",
    "172.16.0.0/12",
    "172.31.255.0/24",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "100.127.255.0/24",
    "169.254.0.0/16",
    "[::1]/128",
    "[fc00::]/7",
    "[fd12:3456:789a::]/48",
    "[fe80::]/10",
    "[fe80::1]/64",
]
SOMEBODY_ELSES = [
    "0.0.0.0/8",
    "9.255.255.0/24",
    "11.0.0.0/8",
    "126.0.0.0/7",
    "128.0.0.0/8",
    "128.0.0.0/1",
    "172.15.255.0/24",
    "172.32.0.0/16",
    "192.167.0.0/16",
    "192.168.0.0/15",
    "192.169.0.0/16",
    "100.63.255.0/24",
    "100.128.0.0/16",
    "100.64.0.0/9",
    "169.253.0.0/16",
    "169.254.0.0/15",
    "198.18.0.0/15",
    "192.0.2.0/24",
    "198.51.100.8/31",
    "203.0.113.0/255.255.255.0",
    "224.0.0.0/4",
    "[::]/1",
    "[8000::]/1",
    "[::]/127",
    "[64:ff9b::]/96",
    "[2001:db8::]/32",
    "[2001:db8::8]/127",
    "[fe00::]/9",
    "[fec0::]/10",
    "[ff00::]/8",
]


@pytest.mark.parametrize("network", NOBODY_ELSES)
def test_a_range_that_nobody_on_the_internet_sends_from_may_relay(network):
    check_networks("parameters.mynetworks", network, [])


@pytest.mark.parametrize("network", SOMEBODY_ELSES)
def test_a_range_that_others_send_from_is_named_with_what_to_do(network):
    with pytest.raises(InvalidValue) as refusal:
        check_networks("parameters.mynetworks", f"[::1]/128, {network}", [])
    assert str(refusal.value) == (
        f"parameters.mynetworks: {network!r} is a public range, whose every host could relay to anywhere; "
        "list the addresses of your own hosts, or confirm the range in public_networks."
    )


@pytest.mark.parametrize(
    ("network", "confirmed", "allowed"),
    [
        ("198.51.100.0/24", ["198.51.100.0/24"], True),
        ("198.51.100.7/24", ["198.51.100.0/24"], True),
        ("198.51.100.0/24", ["198.51.100.9/24"], True),
        ("198.51.100.0/24", ["[198.51.100.0]/24"], True),
        ("198.51.100.0/24", ["192.0.2.0/24", "198.51.0.0/16"], True),
        ("[2001:db8:1::]/48", ["2001:db8::/32"], True),
        ("[2001:db8:1::]/48", ["[2001:DB8::]/32"], True),
        ("10.0.0.0/7", ["10.0.0.0/7"], True),
        ("198.51.101.0/24", ["198.51.100.0/24"], False),
        ("198.51.100.0/24", ["198.51.100.0/25", "198.51.100.128/25"], False),
        ("198.51.100.0/24", ["198.51.100.0"], False),
        ("[2001:db8::]/31", ["2001:db8::/32"], False),
        ("[::]/96", ["0.0.0.0/1"], False),
        ("[::ffff:198.51.100.0]/120", ["198.51.100.0/24"], True),
        ("198.51.100.0/24", ["[::ffff:198.51.100.0]/120"], True),
        ("198.51.100.0/24", ["hash:/etc/postfix/own", "!198.51.100.0/24", ""], False),
    ],
)
def test_a_range_is_confirmed_by_itself_or_one_around_it_and_by_no_other(network, confirmed, allowed):
    if allowed:
        check_networks("parameters.mynetworks", network, confirmed)
        return
    with pytest.raises(InvalidValue, match="confirm the range in public_networks"):
        check_networks("parameters.mynetworks", network, confirmed)


@pytest.mark.parametrize("list_", ["{}, 10.0.0.0/8", "10.0.0.0/8 {}", "!{}, {}", "198.51.100.7, {}", "/etc/own\t{}"])
def test_every_network_of_a_list_is_looked_at(list_):
    with pytest.raises(InvalidValue, match="'203.0.113.0/24' is a public range"):
        check_networks("parameters.mynetworks", list_.format(*["203.0.113.0/24"] * 2), [])


@pytest.mark.parametrize("item", ["/etc/postfix/own", "hash:/etc/postfix/own", "!10.0.0.7", "!0.0.0.0/0", "mx.example"])
def test_what_is_no_network_is_left_to_others(item):
    assert read_network(item) is None
    check_networks("parameters.mynetworks", item, [])


@pytest.mark.parametrize(
    "list_", ["static:all", "inline:{0.0.0.0/0=OK}", "$own", "!!static:all", "!10.0.0.1 static:all"]
)
def test_what_hides_whom_it_lets_relay_is_refused(list_):
    with pytest.raises(InvalidValue) as refusal:
        check_networks("parameters.mynetworks", list_, [])
    assert str(refusal.value) == (
        f"parameters.mynetworks: {list_.split()[-1]!r} hides whom it lets relay; "
        "write the networks themselves, or name a file."
    )


@pytest.mark.parametrize(
    ("item", "refused"),
    [
        ("!0.0.0.0/0", None),
        ("!!0.0.0.0/0", "'!!0.0.0.0/0' lets everybody relay"),
        ("!!!0.0.0.0/0", None),
        ("!!198.51.100.0/24", "'!!198.51.100.0/24' is a public range"),
        ("!!2001:db8::/32", "'!!2001:db8::/32' would be the name of a table"),
        ("!static:all", None),
    ],
)
def test_every_exclamation_mark_turns_the_meaning_round(item, refused):
    if refused is None:
        check_networks("parameters.mynetworks", item, [])
        return
    with pytest.raises(InvalidValue, match=refused):
        check_networks("parameters.mynetworks", item, [])


@pytest.mark.parametrize(
    ("item", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("[192.0.2.1]", "192.0.2.1/32"),
        ("[2001:db8::77]/32", "2001:db8::/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("[::1]", "::1/128"),
    ],
)
def test_a_network_is_read_as_mynetworks_spells_it(item, network):
    assert str(read_network(item)) == network


@pytest.mark.parametrize("item", ["", "/24", "192.0.2.0/33", "[::1]/129", "192.0.2", "300.0.0.0/8", "192.0.2.0/-1"])
def test_what_no_client_has_as_its_address_is_no_network(item):
    assert read_network(item) is None


@pytest.mark.parametrize(
    ("value", "written_out"),
    [
        (["127.0.0.0/8", "[::1]/128"], True),
        ("10.0.0.0/8, !10.1.0.0/16", True),
        ("/etc/postfix/networks", False),
        ("10.0.0.0/8 cidr:/etc/postfix/networks", False),
        (None, False),
        ("", False),
    ],
)
def test_networks_that_are_written_out_say_themselves_whom_they_let_relay(value, written_out):
    assert are_written_out(value) is written_out
