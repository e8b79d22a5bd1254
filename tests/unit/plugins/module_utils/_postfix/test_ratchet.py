# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    ClientCertificates,
    ClientLevel,
    Protocol,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domain_checks import (
    Held,
    check_domains_ratchet,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.ratchet import check_ratchet

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

ORDERED = [
    *(("server.level", a, b) for a, b in itertools.product(ServerLevel, repeat=2)),
    *(("server.minimum_protocol", a, b) for a, b in itertools.product(Protocol, repeat=2)),
    *(("submission/inet.client_certificates", a, b) for a, b in itertools.product(ClientCertificates, repeat=2)),
]


def lowering(before, after, allow_weaker=False):
    try:
        check_ratchet(before, after, allow_weaker)
    except HardeningError as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize(("before", "after"), list(itertools.product(ClientLevel.words(), repeat=2)))
def test_a_client_level_that_guarantees_less_is_refused(before, after):
    said = lowering({"client.level": ClientLevel(before)}, {"client.level": ClientLevel(after)})
    lower = before not in ABOVE[after].split()
    assert said == (
        f"This would lower protection: client.level from {before} to {after}; set allow_weaker: true if that is meant."
        if lower
        else None
    )


@pytest.mark.parametrize(("key", "before", "after"), ORDERED)
def test_a_lower_level_floor_or_demand_is_refused(key, before, after):
    said = lowering({key: before}, {key: after})
    assert (said is not None) is (list(type(before)).index(after) < list(type(before)).index(before))
    if said:
        assert f"protection: {key} from {before} to {after};" in said


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (None, Protocol.TLS_1_0, False),
        (None, None, False),
        (Protocol.TLS_1_2, None, True),
    ],
)
def test_a_floor_that_is_none_protects_less_than_any(before, after, refused):
    key = "server.minimum_protocol"
    assert (lowering({key: before}, {key: after}) is not None) is refused


def test_a_value_that_no_longer_counts_is_not_held_against_a_change():
    before = {"server.level": ServerLevel.MAY, "server.minimum_protocol": Protocol.TLS_1_3}
    assert lowering(before, {"server.level": ServerLevel.MAY}) is None


def test_one_sentence_lists_each_lowered_value_with_its_owner():
    before = {
        "server.level": ServerLevel.ENCRYPT,
        "server.minimum_protocol": Protocol.TLS_1_3,
        "client.level": ClientLevel.SECURE,
        "smtp/inet.level": ServerLevel.ENCRYPT,
        "submission/inet.level": ServerLevel.ENCRYPT,
    }
    after = {
        "server.level": ServerLevel.MAY,
        "server.minimum_protocol": Protocol.TLS_1_2,
        "client.level": ClientLevel.MAY,
        "smtp/inet.level": ServerLevel.MAY,
        "submission/inet.level": ServerLevel.NONE,
    }
    assert lowering(before, after) == (
        "This would lower protection: server.level from encrypt to may; "
        "server.minimum_protocol from TLSv1.3 to TLSv1.2; client.level from secure to may; "
        "smtp/inet.level from encrypt to may; submission/inet.level from encrypt to none; set allow_weaker: true if that is meant."
    )
    assert lowering(before, after, allow_weaker=True) is None


def test_the_floors_of_server_and_client_are_listed_each_though_they_fall_alike():
    floors = ["server.minimum_protocol", "client.minimum_protocol"]
    before, after = (dict.fromkeys(floors, floor) for floor in (Protocol.TLS_1_3, Protocol.TLS_1_2))
    assert lowering(before, after) == (
        "This would lower protection: server.minimum_protocol from TLSv1.3 to TLSv1.2; "
        "client.minimum_protocol from TLSv1.3 to TLSv1.2; set allow_weaker: true if that is meant."
    )


def domains(before, after, default=("may", "may"), allow_weaker=False):
    records = [
        read_domains(
            {"name": name, **({} if "incoming" in str(rows) else {"route": "[mx]"}), **item}
            for name, item in rows.items()
        )[0]
        for rows in (before, after)
    ]
    levels = [ClientLevel(level) for level in default]
    check_domains_ratchet(Held(records[0], levels[0]), Held(records[1], levels[1]), allow_weaker)


BELOW = {"a.example": {"level": "secure", "subdomains": True, "incoming": {"client_certificates": "require"}}}


@pytest.mark.parametrize(
    ("added", "lowered"),
    [
        ({"level": "secure"}, None),
        ({"level": "may"}, "domain s.a.example.level from secure to may"),
        ({"incoming": {"level": "may"}}, "domain s.a.example.incoming from certificate to nothing"),
    ],
)
def test_a_domain_below_another_has_the_protection_of_that_one_to_lose(added, lowered):
    after = {**BELOW, "s.a.example": {"level": "secure", **added}}
    if lowered is None:
        domains(BELOW, after)
        return
    with pytest.raises(HardeningError, match=lowered):
        domains(BELOW, after)


def test_who_may_not_send_any_more_is_protected_no_less_where_nobody_else_may():
    record = read_domains([{"name": "a.example", "incoming": {"client_certificates": "require"}}])[0]
    held = [Held(records, ClientLevel.MAY, None, Unlisted.REJECT) for records in (record, [])]
    check_domains_ratchet(*held, False)
    with pytest.raises(HardeningError, match="from certificate to nothing"):
        check_domains_ratchet(*(one._replace(unlisted=Unlisted.ACCEPT) for one in held), False)


def test_a_records_floor_is_held_against_the_clients():
    rows = [[], read_domains([{"name": "a.example", "level": "may", "minimum_protocol": "TLSv1"}])[0]]
    before, after = (Held(records, ClientLevel.MAY, Protocol.TLS_1_2) for records in rows)
    with pytest.raises(HardeningError, match="domain a.example.minimum_protocol from TLSv1.2 to TLSv1;"):
        check_domains_ratchet(before, after, False)
    same = Held(
        read_domains([{"name": "a.example", "level": "may", "minimum_protocol": "TLSv1.2"}])[0], ClientLevel.MAY
    )
    check_domains_ratchet(same, before, False)


SECURE, ENCRYPT, NO_LEVEL = {"level": "secure"}, {"level": "encrypt"}, {}


@pytest.mark.parametrize(
    ("before", "after", "default", "change"),
    [
        ({}, {}, "may may", None),
        ({}, {"bank.example": SECURE}, "may may", None),
        ({"bank.example": SECURE}, {"bank.example": SECURE}, "may may", None),
        ({"bank.example": ENCRYPT}, {"bank.example": SECURE}, "may may", None),
        ({"bank.example": SECURE}, {"bank.example": ENCRYPT}, "may may", "secure to encrypt"),
        ({"bank.example": SECURE}, {}, "may may", "secure to may"),
        ({"bank.example": SECURE}, {}, "secure secure", None),
        ({"bank.example": SECURE}, {"bank.example": NO_LEVEL}, "may may", "secure to may"),
        ({"bank.example": SECURE}, {"bank.example": NO_LEVEL}, "may secure", None),
        ({}, {"bank.example": ENCRYPT}, "secure secure", "secure to encrypt"),
        ({"bank.example": NO_LEVEL}, {"bank.example": ENCRYPT}, "secure secure", "secure to encrypt"),
        ({"bank.example": NO_LEVEL}, {}, "secure secure", None),
        ({"bank.example": SECURE}, {}, "secure may", "secure to may"),
        ({"bank.example": ENCRYPT}, {"bank.example": {"level": "dane"}}, "may may", "encrypt to dane"),
        ({".bank.example": SECURE}, {}, "may may", "secure to may"),
    ],
)
def test_a_domain_is_protected_by_its_record_or_the_clients_level_and_never_less(before, after, default, change):
    if change is None:
        domains(before, after, default.split())
        return
    with pytest.raises(HardeningError) as refusal:
        domains(before, after, default.split())
    name = next(iter({**before, **after}))
    assert str(refusal.value) == (
        f"This would lower protection: domain {name}.level from {change}; set allow_weaker: true if that is meant."
    )
    domains(before, after, default.split(), allow_weaker=True)


def test_two_domains_that_fall_alike_are_both_listed():
    with pytest.raises(HardeningError) as refusal:
        domains({"bank.example": SECURE, "court.example": SECURE}, {})
    assert str(refusal.value) == (
        "This would lower protection: domain bank.example.level from secure to may; "
        "domain court.example.level from secure to may; set allow_weaker: true if that is meant."
    )
