# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollovers of a key in whatever order tasks run: senders with DANE find a record of the key that they are shown."""

from __future__ import annotations

import random

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.supply import next_kept
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    BOTH,
    MADE_HERE,
    SERVED,
    SMALL,
    apply,
    plan,
    records,
    sign,
    wish,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture

OTHER = "3 1 1 " + "AB" * 32
STEPS = 10


class Zone:
    """What DNS answers, and what it answered and caches still hold."""

    def __init__(self, published):
        self.published, self.cached = set(published), []

    def publish(self, found):
        self.cached.append(set(self.published))
        self.published |= set(found)

    def remove_all_but(self, wanted):
        self.cached.append(set(self.published))
        self.published &= set(wanted)

    def wait_a_ttl(self):
        self.cached = []

    @property
    def listed(self):
        """What every sender finds by now."""
        return sorted(self.published.intersection(*self.cached))


def served(node):
    return [chain for _path, chain in store.active_chains(node.state, "server")]


def kept(node):
    found = next_kept(node.state, "default")
    return [tlsa.of_key(key.public_key()) for key in found.keys] if found else []


def senders_find(zone, chains):
    answers = [[tlsa.read_record("zone", text) for text in answer] for answer in (zone.published, *zone.cached)]
    return all(tlsa.holds(answer, chain.key.public_key(), ()) for answer in answers for chain in chains)


def any_task(chance):
    """Tasks that differ as those of several playbooks, and of somebody in a hurry, do."""
    task = {"renew_now": chance.random() < 0.4, "renew_key": chance.choice(["replace", "replace", "keep"])}
    if chance.random() < 0.3:
        task["renew_before"] = 89
    return {**task, **chance.choice([SERVED, SERVED, {}])}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("provider", MADE_HERE)
def test_whatever_the_order_of_runs_no_key_is_served_that_no_published_record_names(fleet, provider, seed):
    chance = random.Random(f"{provider} {seed}")
    given = BOTH if seed == 0 else {}
    zone = Zone(records(fleet.run(provider, given, **SERVED).chains))
    done = []

    def step():
        deed = chance.choice(["run", "run", "run", "look", "publish", "wait", "wait", "tidy"])
        if deed == "run":
            fleet.run(provider, given, **any_task(chance), published_tlsa=zone.listed)
        elif deed == "look":
            plan(
                fleet.node, wish(provider, fleet.options(provider, given), published_tlsa=zone.listed), check_mode=True
            )
        elif deed == "publish":
            zone.publish(kept(fleet.node))
        elif deed == "wait":
            zone.wait_a_ttl()
        else:
            zone.remove_all_but([*records(served(fleet.node)), *kept(fleet.node)])
        done.append(deed)

    for _step in range(STEPS):
        step()
        assert senders_find(zone, served(fleet.node)), done
    zone.publish(kept(fleet.node))
    zone.wait_a_ttl()
    announced = kept(fleet.node) or records(served(fleet.node))
    last = fleet.run(provider, given, published_tlsa=zone.listed)
    assert (last.awaits, last.next, records(served(fleet.node))) == (None, None, announced), done


@pytest.mark.parametrize("provider", MADE_HERE)
@pytest.mark.parametrize("renew_key", ["replace", "keep"])
def test_a_next_key_becomes_active_once_its_record_is_listed_by_whatever_run(fleet, provider, renew_key):
    first = fleet.run(provider, **SERVED)
    fleet.run(provider, **SERVED, renew_now=True, published_tlsa=records(first.chains))
    waiting = kept(fleet.node)
    assert waiting
    later = fleet.run(provider, published_tlsa=records(first.chains))
    assert (later.awaits, later.keeps, later.plan.changed) == ("announcement", False, False)
    renewed = fleet.run(provider, published_tlsa=[*records(first.chains), *waiting], renew_key=renew_key)
    assert records(served(fleet.node)) == records(renewed.chains) == waiting
    assert kept(fleet.node) == []


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
def test_a_next_key_that_is_the_only_one_listed_becomes_active(fleet, provider):
    first = fleet.run(provider, **SERVED)
    fleet.run(provider, renew_now=True, published_tlsa=records(first.chains))
    waiting = kept(fleet.node)
    fleet.run(provider, published_tlsa=waiting)
    assert records(served(fleet.node)) == waiting


@pytest.mark.parametrize("over", [{}, {"renew_now": True}, SERVED, {"renew_before": 89}])
@pytest.mark.parametrize("provider", MADE_HERE)
@pytest.mark.parametrize("waits", [True, False])
def test_a_list_that_names_neither_the_active_nor_the_next_key_is_refused(fleet, provider, over, waits):
    first = fleet.run(provider, **SERVED)
    if waits:
        fleet.run(provider, renew_now=True, published_tlsa=records(first.chains))
    before = picture(fleet.node.config_dir)
    with pytest.raises(CertificateError) as refusal:
        fleet.run(provider, **over, published_tlsa=[OTHER])
    assert str(refusal.value) == (
        "published_tlsa: no record matches the certificate that is served, so senders with DANE hold their mail (RFC 7672 "
        f"section 2.2); publish {records(first.chains)[0]} at once and list it beside the others, or list nothing where DNS "
        "has no TLSA record."
    )
    assert picture(fleet.node.config_dir) == before


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_keys_that_are_served_both_must_be_listed(fleet, which):
    """A client takes the one or the other, as its ciphers go."""
    first = fleet.run("self_signed", BOTH, **SERVED)
    with pytest.raises(CertificateError, match=f"publish {records(first.chains)[1 - which]} at once"):
        fleet.run("self_signed", BOTH, published_tlsa=[records(first.chains)[which]])


def test_while_a_certificate_waits_the_one_that_is_served_instead_must_be_listed(fleet):
    first = fleet.run("self_signed", **SERVED)
    waits = fleet.run("own_ca", name="fleet", **SERVED, published_tlsa=records(first.chains))
    assert waits.awaits == "announcement"
    with pytest.raises(CertificateError, match="^published_tlsa: no record matches the certificate that is served"):
        fleet.run("own_ca", name="fleet", **SERVED, published_tlsa=[OTHER])


def test_a_certificate_that_nobody_is_shown_may_have_any_record(fleet):
    fleet.run("self_signed")
    assert fleet.run("self_signed", published_tlsa=[OTHER]).awaits is None


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
def test_a_key_that_waits_is_shown_and_left_alone_by_a_task_that_lists_no_record(fleet, provider):
    first = fleet.run(provider, **SERVED)
    fleet.run(provider, renew_now=True, published_tlsa=records(first.chains))
    other = fleet.run(provider, **SERVED)
    assert (other.awaits, other.keeps, other.plan.changed) == (None, False, False)
    assert [tlsa.of_key(key.public_key()) for key in other.next.keys] == kept(fleet.node)
    assert records(served(fleet.node)) == records(first.chains)


def test_a_request_that_waits_for_a_signature_is_shown_by_each_run(fleet):
    fleet.run("csr", **SERVED)
    node, task = fleet.node, fleet.options("csr")
    asked = apply(node, wish("csr", task, renew_now=True))
    again = apply(node, wish("csr", task))
    assert (again.awaits, again.next.request, again.keeps) == ("signature", asked.next.request, False)


def test_a_next_key_that_is_listed_stays_where_a_ca_certifies_the_active_one_anew(fleet, fleet_ca):
    first = fleet.run("csr", **SERVED)
    fleet.run("csr", renew_now=True, published_tlsa=records(first.chains))
    waiting = kept(fleet.node)
    anew = sign(request(("mx1.example.com",), first.chains[0].key), fleet_ca)
    both = [*records(first.chains), *waiting]
    brought = apply(fleet.node, wish("csr", {**SMALL, "certificate": anew}, published_tlsa=both))
    assert (records(brought.chains), kept(fleet.node)) == (records(first.chains), waiting)


def test_a_next_key_that_no_ca_has_certified_cannot_stand_in_for_the_active_one(fleet):
    first = fleet.run("csr", **SERVED)
    fleet.run("csr", renew_now=True, published_tlsa=records(first.chains))
    with pytest.raises(CertificateError, match=f"publish {records(first.chains)[0]} at once"):
        fleet.run("csr", published_tlsa=kept(fleet.node))
