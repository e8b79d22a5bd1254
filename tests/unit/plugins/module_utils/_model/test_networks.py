# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.networks import check_networks

OWN = ["127.0.0.0/8", "[::1]/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.7.0/24", "100.64.0.0/10", "[fd00:1::]/32"]
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
    "2001:db8::/64",
    "0.0.0.0/1",
    "10.0.0.0/7",
    "172.16.0.0/11",
    "fc00::/6",
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


def test_no_networks_at_all_are_fine():
    check_networks("parameters.mynetworks", None, [])
    check_networks("parameters.mynetworks", "", [])
