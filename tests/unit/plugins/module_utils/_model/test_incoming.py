# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import (
    Demand,
    Unlisted,
    read_incoming,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PINS


@pytest.mark.parametrize(
    ("given", "demand", "facts"),
    [
        ({}, "encrypt", {"level": "encrypt", "client_certificates": "ignore", "pins": []}),
        ({"level": "encrypt"}, "encrypt", {"level": "encrypt", "client_certificates": "ignore", "pins": []}),
        ({"level": None, "pins": None}, "encrypt", {"level": "encrypt", "client_certificates": "ignore", "pins": []}),
        ({"level": "may"}, "nothing", {"level": "may", "client_certificates": "ignore", "pins": []}),
        (
            {"level": "may", "client_certificates": "ignore"},
            "nothing",
            {"level": "may", "client_certificates": "ignore", "pins": []},
        ),
        (
            {"client_certificates": "require"},
            "certificate",
            {"level": "encrypt", "client_certificates": "require", "pins": []},
        ),
        ({"pins": PINS[:1]}, "pins", {"level": "encrypt", "client_certificates": "require", "pins": PINS[:1]}),
        (
            {"pins": [PINS[1].lower(), PINS[0]], "client_certificates": "require", "level": "encrypt"},
            "pins",
            {"level": "encrypt", "client_certificates": "require", "pins": [PINS[1], PINS[0]]},
        ),
    ],
)
def test_what_a_sender_must_show_follows_from_the_options(given, demand, facts):
    incoming = read_incoming("incoming", given)
    assert (incoming.demand.value, incoming.as_facts()) == (demand, facts)
    assert read_incoming("incoming", incoming.as_facts()) == incoming


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"level": "strict"}, "d.level: 'strict' is not known; use one of none, may, encrypt."),
        (
            {"client_certificates": "ask"},
            "d.client_certificates: 'ask' is not known; use one of ignore, request, require.",
        ),
        (
            {"client_certificates": "request"},
            "d.client_certificates: 'request' demands nothing; use require, or leave it out.",
        ),
        (
            {"client_certificates": "request", "pins": PINS},
            "d.client_certificates: 'request' contradicts the pins beside it; use require, or leave it out.",
        ),
        (
            {"client_certificates": "ignore", "pins": PINS},
            "d.client_certificates: 'ignore' contradicts the pins beside it; use require, or leave it out.",
        ),
        (
            {"client_certificates": "require", "level": "may"},
            "d.level: 'may' lets mail in without the certificate that is required; use encrypt.",
        ),
        (
            {"pins": PINS, "level": "may"},
            "d.level: 'may' lets mail in without the certificate that is required; use encrypt.",
        ),
        (
            {"pins": ["AB:CD"]},
            "d.pins: 'AB:CD' is not a SHA-256 fingerprint; "
            "write 32 hexadecimal pairs joined by colons, as posttls-finger prints them.",
        ),
    ],
)
def test_demands_that_contradict_each_other_are_refused_in_one_sentence(given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        read_incoming("d", given)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "pin", ["", None, 1, [], f"{PINS[0]}:AB", PINS[0] + "\n", PINS[0].replace(":", ""), "GG" + PINS[0][2:]]
)
def test_a_pin_that_postfix_would_never_find_is_refused(pin):
    with pytest.raises(InvalidValue, match="is not a SHA-256 fingerprint"):
        read_incoming("d", {"pins": [PINS[1], pin]})


@pytest.mark.parametrize(
    ("order", "words"),
    [(Demand, ["nothing", "encrypt", "certificate", "pins"]), (Unlisted, ["accept", "warn", "reject"])],
)
def test_the_words_stand_in_the_order_of_what_they_keep_out(order, words):
    assert order.words() == words
    for weaker, stronger in zip(order, list(order)[1:]):
        assert weaker.is_weaker_than(stronger)
        assert not stronger.is_weaker_than(weaker)
