# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_mail_partners import FilterModule, mail_partners

SIZES = [1, 2, 3, 4, 5, 7, 10, 100, 1000]


def graph(size, number):
    hosts = [f"mx{place}" for place in range(size)]
    return {host: mail_partners(host, hosts, number) for host in hosts}


def reached(partners, start):
    seen, waiting = {start}, [start]
    while waiting:
        new = set(partners[waiting.pop()]) - seen
        seen |= new
        waiting += new
    return seen


@pytest.mark.parametrize("number", [1, 2, 3, 5, "all"])
@pytest.mark.parametrize("size", SIZES[:-1])
def test_every_node_writes_to_and_hears_from_as_many_others_and_mail_reaches_all(size, number):
    partners = graph(size, number)
    each = size - 1 if number == "all" else min(number, size - 1)
    heard = Counter(to for others in partners.values() for to in others)
    assert {len(set(others)) for others in partners.values()} == {each}
    assert set(heard.values()) == ({each} if each else set())
    assert all(host not in others for host, others in partners.items())
    assert reached(partners, "mx0") == set(partners)


@pytest.mark.parametrize("size", SIZES)
def test_messages_do_not_grow_with_the_square_of_the_fleet(size):
    assert sum(map(len, graph(size, 3).values())) <= 3 * size


def test_partners_lie_beside_a_node_and_across_the_ring():
    assert graph(10, 3)["mx0"] == ["mx1", "mx4", "mx7"]
    assert graph(10, 3)["mx8"] == ["mx9", "mx2", "mx5"]


@pytest.mark.parametrize("hosts", [["c", "a", "b", "d"], ["d", "c", "b", "a", "a"]])
def test_the_same_hosts_give_the_same_partners_in_whatever_order_they_are(hosts):
    assert mail_partners("a", hosts, 2) == ["b", "c"]


@pytest.mark.parametrize("hosts", [[], ["a"], ["a", "b", "d"]])
def test_a_node_without_a_mailbox_writes_to_those_that_have_one(hosts):
    assert set(mail_partners("c", hosts)) == set(hosts)


def test_a_number_may_be_written_as_extra_variables_are():
    assert mail_partners("a", ["a", "b", "c"], "1") == ["b"]


@pytest.mark.parametrize("number", [0, -1, "some", ""])
def test_what_is_no_number_of_nodes_is_refused_by_the_variable_with_what_to_do(number):
    with pytest.raises(AnsibleFilterError, match=r"^smtp_test_partners: .* use 1 or more, or all\.$"):
        mail_partners("a", ["a", "b"], number)


def test_it_is_a_filter():
    assert FilterModule().filters() == {"smtp_mail_partners": mail_partners}
