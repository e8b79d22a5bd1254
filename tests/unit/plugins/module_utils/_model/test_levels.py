# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    CipherGrade,
    ClientCertificates,
    ClientLevel,
    Protocol,
    ServerLevel,
)


@pytest.mark.parametrize(
    ("kind", "weakest_first"),
    [
        (ServerLevel, ["none", "may", "encrypt"]),
        (ClientCertificates, ["ignore", "request", "require"]),
        (ClientLevel, ["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"]),
        (Protocol, ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
        (CipherGrade, ["medium", "high"]),
    ],
)
def test_words_are_postfixs_own_and_stand_weakest_first(kind, weakest_first):
    assert kind.words() == weakest_first
    assert [str(kind.read("option", word)) for word in weakest_first] == weakest_first
    assert [kind(word).rank for word in weakest_first] == list(range(len(weakest_first)))


@pytest.mark.parametrize(
    ("kind", "option", "value", "sentence"),
    [
        (ServerLevel, "server.level", "secure", "server.level: 'secure' is not known; use one of none, may, encrypt."),
        (ServerLevel, "server.level", "MAY", "server.level: 'MAY' is not known; use one of none, may, encrypt."),
        (CipherGrade, "client.ciphers", "low", "client.ciphers: 'low' is not known; use one of medium, high."),
        (
            Protocol,
            "server.minimum_protocol",
            "SSLv3",
            "server.minimum_protocol: 'SSLv3' is not known; use one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3.",
        ),
        (
            ClientCertificates,
            "server.client_certificates",
            None,
            "server.client_certificates: None is not known; use one of ignore, request, require.",
        ),
    ],
)
def test_a_word_that_postfix_does_not_know_is_refused_with_the_choices(kind, option, value, sentence):
    with pytest.raises(InvalidValue) as refusal:
        kind.read(option, value)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("kind", [ServerLevel, ClientCertificates, Protocol, CipherGrade])
def test_what_stands_before_another_word_protects_less(kind):
    for word, other in itertools.product(kind, repeat=2):
        assert word.is_weaker_than(other) is (word.rank < other.rank)


@pytest.mark.parametrize(
    ("level", "other", "weaker"),
    [
        ("encrypt", "dane", True),
        ("dane", "encrypt", True),
        ("verify", "dane-only", True),
        ("dane-only", "verify", False),
        ("verify", "encrypt", False),
        ("verify", "dane", False),
        ("fingerprint", "secure", False),
        ("secure", "fingerprint", False),
        ("dane-only", "secure", False),
        ("may", "none", False),
        ("none", "may", True),
    ],
)
def test_a_client_level_protects_less_where_it_loses_a_guarantee(level, other, weaker):
    assert ClientLevel(level).is_weaker_than(ClientLevel(other)) is weaker


@pytest.mark.parametrize("level", ClientLevel)
def test_no_level_protects_less_than_itself_or_than_none(level):
    assert not level.is_weaker_than(level)
    assert not level.is_weaker_than(ClientLevel.NONE)


@pytest.mark.parametrize(
    ("level", "mandatory", "ca"),
    [
        ("none", False, False),
        ("may", False, False),
        ("encrypt", True, False),
        ("dane", True, False),
        ("dane-only", True, False),
        ("fingerprint", True, False),
        ("verify", True, True),
        ("secure", True, True),
    ],
)
def test_a_client_level_knows_whether_tls_is_mandatory_and_a_ca_is_trusted(level, mandatory, ca):
    assert ClientLevel(level).is_mandatory is mandatory
    assert ClientLevel(level).trusts_a_ca is ca
