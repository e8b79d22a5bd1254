# SPDX-License-Identifier: GPL-3.0-or-later
"""How domains are protected by their records, and what mail from them must show."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    ASKING,
    PINS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    apply,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    posture,
    weaker,
)

SECURE, ENCRYPT, NO_LEVEL = ({"level": "secure"}, {"level": "encrypt"}, {})


def records(rows):
    return [
        {"name": name, "route": f"[mx{name if name.startswith('.') else f'.{name}'}]", **item}
        for name, item in rows.items()
    ]


@pytest.mark.parametrize(
    ("before", "after", "default", "fallen"),
    [
        ({}, {}, "may may", None),
        ({}, {"bank.example": SECURE}, "may may", None),
        ({"bank.example": SECURE}, {"bank.example": SECURE}, "may may", None),
        ({"bank.example": ENCRYPT}, {"bank.example": SECURE}, "may may", None),
        (
            {"bank.example": SECURE},
            {"bank.example": ENCRYPT},
            "may may",
            "domain bank.example.level from secure to encrypt",
        ),
        ({"bank.example": SECURE}, {}, "may may", "domain bank.example.level from secure to may"),
        ({"bank.example": SECURE}, {}, "secure secure", None),
        (
            {"bank.example": SECURE},
            {"bank.example": NO_LEVEL},
            "may may",
            "domain bank.example.level from secure to may",
        ),
        ({"bank.example": SECURE}, {"bank.example": NO_LEVEL}, "may secure", None),
        ({}, {"bank.example": ENCRYPT}, "secure secure", "domain bank.example.level from secure to encrypt"),
        (
            {"bank.example": NO_LEVEL},
            {"bank.example": ENCRYPT},
            "secure secure",
            "domain bank.example.level from secure to encrypt",
        ),
        ({"bank.example": NO_LEVEL}, {}, "secure secure", None),
        ({"bank.example": SECURE}, {}, "secure may", "client.level from secure to may"),
        (
            {"bank.example": ENCRYPT},
            {"bank.example": {"level": "dane"}},
            "may may",
            "domain bank.example.level from encrypt to dane",
        ),
        ({".bank.example": SECURE}, {}, "may may", "domain .bank.example.level from secure to may"),
        (
            {"bank.example": SECURE, "court.example": SECURE},
            {},
            "may may",
            "domain bank.example.level from secure to may; domain court.example.level from secure to may",
        ),
        ({"lan": SECURE}, {}, "may may", "domain lan.level from secure to may"),
        (
            {"bank.example": {**SECURE, "minimum_protocol": "TLSv1.3"}},
            {"bank.example": {**SECURE, "minimum_protocol": "TLSv1.2"}},
            "may may",
            "domain bank.example.minimum_protocol from TLSv1.3 to TLSv1.2",
        ),
        (
            {"bank.example": {**SECURE, "ciphers": "high"}},
            {"bank.example": SECURE},
            "may may",
            "domain bank.example.ciphers from high to medium",
        ),
        (
            {"bank.example": {**SECURE, "match": ["a.example"]}},
            {"bank.example": {**SECURE, "match": ["b.example"]}},
            "may may",
            "domain bank.example.match from a.example to b.example",
        ),
    ],
)
def test_a_domain_is_protected_by_its_record_or_the_clients_level_and_never_less(node, before, after, default, fallen):
    levels = default.split()
    node.append(f"smtp_tls_security_level = {levels[0]}\ntls_required_enable = no\n")
    apply(node, *records(before), allow_weaker=True)
    seen = posture(node)
    node.postfix.edit({"smtp_tls_security_level": levels[1]})
    apply(node, *records(after), exclusive=True, allow_weaker=True)
    assert "; ".join(map(str, posture(node).weaker_than(seen))) == (fallen or "")


def incoming(node, *items, today=TODAY, **options):
    apply(node, *items, exclusive=True, allow_weaker=True, **options)
    return posture(node, today=today)


CERTIFICATE = {"client_certificates": "require"}
ABOVE = {"name": "a.example", "incoming": CERTIFICATE}


@pytest.mark.parametrize(
    ("before", "after", "fallen"),
    [
        ([ABOVE], [ABOVE], None),
        ([ABOVE], [{**ABOVE, "incoming": {"pins": PINS[:1]}}], None),
        ([ABOVE], [{**ABOVE, "incoming": {}}], "domain a.example.incoming from certificate to encrypt"),
        ([ABOVE], [], "domain a.example.incoming from certificate to nothing"),
        ([ABOVE], [ABOVE, {"name": "b.a.example", "level": "may"}], None),
        (
            [ABOVE],
            [ABOVE, {"name": "b.a.example", "incoming": {"level": "may"}}],
            "domain b.a.example.incoming from certificate to nothing",
        ),
        ([ABOVE, {"name": "b.a.example", "incoming": {}}], [ABOVE], None),
        ([ABOVE], [{**ABOVE, "mode": "testing"}], "domain a.example.incoming from certificate to nothing"),
        ([ABOVE], [{**ABOVE, "expires": YESTERDAY}], "domain a.example.incoming from certificate to nothing"),
        ([{**ABOVE, "mode": "testing"}], [], None),
        ([{**ABOVE, "expires": YESTERDAY}], [], None),
    ],
)
def test_less_is_demanded_of_a_domain_by_its_record_or_by_that_of_one_above_it(node, before, after, fallen):
    node.append(ASKING)
    seen = incoming(node, *before)
    found = incoming(node, *after).weaker_than(seen)
    assert "; ".join(map(str, found)) == (fallen or "")


@pytest.mark.parametrize(
    ("before", "after", "fallen"),
    [
        ("reject", "reject", []),
        (
            "reject",
            "accept",
            ["domain a.example.incoming from certificate to nothing", "unlisted_senders from reject to accept"],
        ),
        ("accept", "reject", []),
        ("accept", "warn", ["domain a.example.incoming from certificate to nothing"]),
    ],
)
def test_who_may_not_send_any_more_is_asked_for_no_less(node, before, after, fallen):
    node.append(ASKING)
    known = {"name": "known.example", "incoming": {"level": "may"}}
    seen = incoming(node, ABOVE, known, unlisted=Unlisted(before))
    assert [str(item) for item in incoming(node, known, unlisted=Unlisted(after)).weaker_than(seen)] == fallen


def test_a_record_that_has_expired_is_read_as_it_counts_today(node):
    node.append(ASKING)
    record = {**ABOVE, "expires": TOMORROW}
    assert [str(r.demand) for r in incoming(node, record).records] == ["certificate"]
    assert [str(r.demand) for r in incoming(node, record, today=TODAY.replace(month=5)).records] == ["nothing"]


def test_a_service_that_passes_demands_by_falls_while_anybody_is_still_asked(node):
    node.append(ASKING)
    incoming(node, ABOVE)
    services = node.services.replace("- smtpd\n", "- smtpd -o smtpd_sender_restrictions=\n")
    assert weaker(node, services=services) == ["smtp/inet.demands from certificates of senders' domains to nothing"]


def test_demands_that_go_with_their_record_are_told_of_the_record_alone(node):
    node.append(ASKING)
    seen = incoming(node, ABOVE, unlisted=Unlisted.WARN)
    found = incoming(node, unlisted=Unlisted.ACCEPT).weaker_than(seen)
    assert [item.name for item in found] == ["domain a.example.incoming", "unlisted_senders"]


def test_pinned_certificates_that_nobody_is_asked_for_any_more_are_told(node):
    pins = f"check_ccert_access {{ regexp:{node.store('pins/1/table')}, {{ search_order = pubkey_fingerprint }} }}"
    node.append(f"smtpd_client_restrictions = {pins}\n")
    assert weaker(node, {"smtpd_client_restrictions": "permit"}) == [
        "server.demands from pinned certificates to nothing"
    ]
