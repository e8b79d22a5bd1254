# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    CipherGrade,
    ClientCertificates,
    ClientLevel,
    Protocol,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.protections import (
    AtLeast,
    AtMost,
    Names,
    Same,
    Switch,
    Unknown,
    is_weaker,
    weakest,
)

ABOVE = {
    "none": "none",
    "may": "none may",
    "encrypt": "none may encrypt",
    "dane": "none may dane",
    "verify": "none may encrypt dane verify",
    "dane-only": "none may encrypt dane verify dane-only fingerprint secure",
    "fingerprint": "none may encrypt dane verify dane-only fingerprint secure",
    "secure": "none may encrypt dane verify dane-only fingerprint secure",
}
"""Each client level and all whose guarantees it gives too (TLS_README, "Client TLS security level")."""


@pytest.mark.parametrize(("before", "after"), list(itertools.product(ClientLevel.words(), repeat=2)))
def test_a_client_level_that_guarantees_less_is_weaker(before, after):
    assert is_weaker(ClientLevel(after), ClientLevel(before)) is (before not in ABOVE[after].split())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pair
        for kind in (ServerLevel, Protocol, ClientCertificates, CipherGrade)
        for pair in itertools.product(kind, repeat=2)
    ],
)
def test_a_lower_level_floor_demand_or_grade_is_weaker(before, after):
    assert is_weaker(after, before) is (list(type(before)).index(after) < list(type(before)).index(before))


def of(kind, text):
    return kind(frozenset(text.split()))


@pytest.mark.parametrize(
    ("kind", "before", "after", "weaker"),
    [
        (AtLeast, "", "", False),
        (AtLeast, "", "RC4", False),
        (AtLeast, "RC4", "RC4 MD5", False),
        (AtLeast, "RC4 MD5", "RC4", True),
        (AtLeast, "RC4", "MD5", True),
        (AtLeast, "RC4", "", True),
        (AtMost, "", "", False),
        (AtMost, "mx.example", "", False),
        (AtMost, "mx.example .example", "mx.example", False),
        (AtMost, "mx.example", "mx.example .example", True),
        (AtMost, "mx.example", "mx.other.example", True),
        (AtMost, "", "mx.example", True),
        (Names, "hostname", "nexthop dot-nexthop", False),
        (Names, "hostname", "mx.example", True),
        (Names, "nexthop dot-nexthop", "hostname", True),
        (Names, "mx.example", "nexthop", True),
        (Unknown, "", "", False),
        (Unknown, "ldap:a", "ldap:a", False),
        (Unknown, "ldap:a", "", False),
        (Unknown, "ldap:a", "ldap:b", True),
        (Unknown, "", "ldap:a", True),
    ],
)
def test_a_set_is_weaker_where_something_goes_that_protects_or_comes_that_does_not(kind, before, after, weaker):
    assert is_weaker(of(kind, after), of(kind, before)) is weaker


@pytest.mark.parametrize(
    ("before", "after", "weaker"),
    [
        (True, True, False),
        (True, False, True),
        (False, True, False),
        (False, False, False),
    ],
)
def test_a_switch_is_weaker_where_it_protected_and_does_not_any_more(before, after, weaker):
    assert is_weaker(Switch(after, "b"), Switch(before, "a")) is weaker


@pytest.mark.parametrize(
    ("before", "after", "weaker"),
    [
        (None, None, False),
        (None, Protocol.TLS_1_0, False),
        (None, AtMost(), False),
        (Protocol.TLS_1_2, None, True),
        (AtLeast(), None, True),
        (Switch(True, "no"), None, True),
        (Protocol.TLS_1_2, AtLeast(), True),
        (AtLeast(), Protocol.TLS_1_2, True),
    ],
)
def test_nothing_at_all_protects_less_than_anything(before, after, weaker):
    assert is_weaker(after, before) is weaker


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (of(AtLeast, "RC4 MD5"), "MD5, RC4"),
        (AtLeast(), "nothing"),
        (of(AtMost, "b a"), "a, b"),
        (of(AtMost, "a b c d e"), "a, b, c, d, e"),
        (of(AtMost, "a b c d e f g"), "a, b, c, d, e and 2 more"),
        (AtMost(), "nothing"),
        (Switch(False, "open to strangers"), "open to strangers"),
        (of(Unknown, "ldap:b ldap:a"), "ldap:a and ldap:b"),
        (Unknown(), "nothing"),
    ],
)
def test_a_person_reads_what_it_is(value, text):
    assert str(value) == text


def test_mail_that_may_go_either_way_has_what_both_ways_guarantee():
    one = {"level": ClientLevel.SECURE, "match": of(AtMost, "a"), "minimum_protocol": Protocol.TLS_1_2}
    other = {"level": ClientLevel.ENCRYPT, "minimum_protocol": Protocol.TLS_1_3}
    together = {"level": ClientLevel.ENCRYPT, "minimum_protocol": Protocol.TLS_1_2}
    assert [weakest(*either) for either in ((one, other), (other, one))] == [together, together]
    assert weakest(one, {}) == {}


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (ClientLevel.DANE, ClientLevel.ENCRYPT, ClientLevel.MAY),
        (ClientLevel.DANE, ClientLevel.VERIFY, ClientLevel.DANE),
        (ClientLevel.DANE_ONLY, ClientLevel.DANE_ONLY, ClientLevel.DANE_ONLY),
        (ServerLevel.ENCRYPT, ServerLevel.MAY, ServerLevel.MAY),
        (of(AtLeast, "a b"), of(AtLeast, "b c"), of(AtLeast, "b")),
        (of(AtMost, "a"), of(AtMost, "b"), of(AtMost, "a b")),
        (of(Names, "a"), of(Names, "b"), of(Names, "a b")),
        (of(Unknown, "a"), of(Unknown, "b"), of(Unknown, "a b")),
        (Switch(True, "no"), Switch(False, "yes"), Switch(False, "yes")),
        (Protocol.TLS_1_2, None, None),
    ],
)
def test_of_two_ways_that_guarantee_different_things_neither_is_promised(one, other, common):
    assert [weakest(*pair) for pair in (({"x": one}, {"x": other}), ({"x": other}, {"x": one}))] == [{"x": common}] * 2


@pytest.mark.parametrize(("before", "after", "weaker"), [("a", "a", False), ("a", "", True), ("", "a", True)])
def test_of_what_must_stay_the_same_nothing_comes_and_nothing_goes(before, after, weaker):
    assert is_weaker(of(Same, after), of(Same, before)) is weaker
