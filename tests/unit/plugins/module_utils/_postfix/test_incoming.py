# SPDX-License-Identifier: GPL-3.0-or-later
"""What senders must show: the access table, and the classes that it names."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Demand, Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.incoming import (
    bypassed,
    demands,
    read_unlisted,
    senders,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    PINS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    apply,
    explicit,
    plan,
    table,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.incoming_tasks import (
    CLASSES,
    KNOWN,
    NEEDS_CERTIFICATE,
    NEEDS_PIN,
    NEEDS_TLS,
    RESTRICTIONS,
    ROUTED,
    UNEXPECTED,
    access,
    ours,
)

NO_CERTIFICATE = (
    "check_sender_access static:{554 5.7.1 "
    "Mail from this domain needs a client certificate of a CA that is trusted here}"
)
NO_PIN = "check_sender_access static:{554 5.7.1 Mail from this domain needs a client certificate that is pinned here}"


def entries(items, unlisted="accept", parents=True):
    records, _absent = read_domains(items)
    return senders([record.in_force(TODAY) for record in records], Unlisted(unlisted), parents)


@pytest.mark.parametrize(
    ("record", "unlisted", "action"),
    [
        (ROUTED, "accept", None),
        (ROUTED, "reject", None),
        (KNOWN, "accept", "DUNNO"),
        (KNOWN, "warn", "permit"),
        (KNOWN, "reject", "permit"),
        (NEEDS_TLS, "accept", "smtp_hardening_encrypt"),
        (NEEDS_TLS, "warn", "smtp_hardening_encrypt, permit"),
        (NEEDS_TLS, "reject", "smtp_hardening_encrypt, permit"),
        (NEEDS_CERTIFICATE, "accept", "smtp_hardening_certificate"),
        (NEEDS_CERTIFICATE, "reject", "smtp_hardening_certificate, permit"),
        (NEEDS_PIN, "accept", "smtp_hardening_pins_1"),
        (NEEDS_PIN, "warn", "smtp_hardening_pins_1, permit"),
        ({**KNOWN, "mode": "testing"}, "accept", "DUNNO"),
        ({**KNOWN, "mode": "testing"}, "reject", "permit"),
        ({**NEEDS_TLS, "mode": "testing"}, "accept", "smtp_hardening_encrypt_testing"),
        ({**NEEDS_CERTIFICATE, "mode": "testing"}, "reject", "smtp_hardening_certificate_testing, permit"),
        ({**NEEDS_PIN, "mode": "testing"}, "accept", "smtp_hardening_pins_1_testing"),
        ({**NEEDS_TLS, "expires": TOMORROW}, "accept", "smtp_hardening_encrypt"),
        ({**NEEDS_TLS, "expires": str(TODAY)}, "accept", "smtp_hardening_encrypt"),
        ({**NEEDS_TLS, "expires": YESTERDAY}, "accept", None),
        ({**NEEDS_TLS, "subdomains": True}, "accept", "smtp_hardening_encrypt"),
    ],
)
@pytest.mark.parametrize("parents", [True, False])
def test_a_sender_domain_and_the_names_below_it_are_asked_for_what_the_record_says(record, unlisted, action, parents):
    name = record["name"]
    wanted = {} if action is None else {name: action} if parents else {name: action, f".{name}": action}
    nobody = {} if unlisted == "accept" else {"<>": "permit"}
    assert entries([record], unlisted, parents) == {**wanted, **nobody}


def test_without_records_only_the_null_sender_is_let_in():
    assert entries([]) == {}
    assert entries([], "warn") == entries([], "reject") == {"<>": "permit"}


@pytest.mark.parametrize("unlisted", ["accept", "warn", "reject"])
def test_incoming_of_an_expired_record_counts_as_not_said(unlisted):
    assert "agency.example" not in entries([{**NEEDS_CERTIFICATE, "expires": YESTERDAY}], unlisted)


def test_each_set_of_pins_has_a_class_of_its_own_whatever_the_order_of_the_records():
    first = {"name": "a.example", "incoming": {"pins": [PINS[2]]}}
    second = {"name": "b.example", "incoming": {"pins": PINS[:2]}}
    third = {"name": "c.example", "incoming": {"pins": [PINS[2]]}, "mode": "testing"}
    made = {
        "a.example": "smtp_hardening_pins_2",
        "b.example": "smtp_hardening_pins_1",
        "c.example": "smtp_hardening_pins_2_testing",
    }
    assert entries([first, second, third]) == entries([third, second, first]) == made


@pytest.mark.parametrize(
    ("record", "name", "definition"),
    [
        (NEEDS_TLS, "encrypt", "reject_plaintext_session"),
        (
            NEEDS_CERTIFICATE,
            "certificate",
            f"reject_plaintext_session, permit_tls_all_clientcerts, {NO_CERTIFICATE}",
        ),
        (
            {"name": "partner.example", "incoming": {"pins": PINS[:2]}},
            "pins_1",
            f"reject_plaintext_session, check_ccert_access inline:{{ {{ {PINS[0]} = OK }}, {{ {PINS[1]} = OK }} }}, {NO_PIN}",
        ),
        ({**NEEDS_TLS, "mode": "testing"}, "encrypt_testing", "warn_if_reject reject_plaintext_session"),
        (
            {**NEEDS_CERTIFICATE, "mode": "testing"},
            "certificate_testing",
            f"warn_if_reject reject_plaintext_session, permit_tls_all_clientcerts, warn_if_reject {NO_CERTIFICATE}",
        ),
        (
            {**NEEDS_PIN, "mode": "testing"},
            "pins_1_testing",
            f"warn_if_reject reject_plaintext_session, check_ccert_access inline:{{ {{ {PINS[0]} = OK }} }}, "
            f"warn_if_reject {NO_PIN}",
        ),
    ],
)
def test_the_class_that_the_table_names_is_defined_in_main_cf(asking, record, name, definition):
    apply(asking, record)
    assert ours(asking) == {
        RESTRICTIONS: access(asking),
        CLASSES: f"smtp_hardening_{name}",
        f"smtp_hardening_{name}": definition,
    }
    assert table(asking, "senders") == {record["name"]: f"smtp_hardening_{name}"}
    assert not plan(asking, record).plan.changed


@pytest.mark.parametrize(("word", "warn"), [("warn", "warn_if_reject "), ("reject", "")])
def test_mail_that_nobody_expects_is_asked_after_the_table(asking, word, warn):
    apply(asking, KNOWN, unlisted=Unlisted(word))
    assert ours(asking) == {
        RESTRICTIONS: f"{access(asking)}, smtp_hardening_unlisted",
        CLASSES: "smtp_hardening_unlisted",
        "smtp_hardening_unlisted": warn + UNEXPECTED,
    }
    assert table(asking, "senders") == {"known.example": "permit", "<>": "permit"}
    assert not plan(asking, KNOWN).plan.changed
    assert not plan(asking, KNOWN, unlisted=Unlisted(word)).plan.changed


def test_what_is_not_said_of_unlisted_senders_stays(asking):
    apply(asking, KNOWN, unlisted=Unlisted.REJECT)
    assert apply(asking, NEEDS_TLS).unlisted is Unlisted.REJECT
    assert table(asking, "senders") == {
        "known.example": "permit",
        "tls.example": "smtp_hardening_encrypt, permit",
        "<>": "permit",
    }
    assert plan(asking, unlisted=Unlisted.ACCEPT, allow_weaker=True).unlisted is Unlisted.ACCEPT


def test_unlisted_senders_need_no_record(node):
    apply(node, unlisted=Unlisted.WARN)
    assert table(node, "senders") == {"<>": "permit"}
    assert not plan(node).plan.changed
    assert not plan(node, exclusive=True).plan.changed
    apply(node, unlisted=Unlisted.ACCEPT, allow_weaker=True)
    assert explicit(node) == {}


def test_a_class_that_no_record_needs_any_more_goes(asking):
    apply(asking, NEEDS_TLS, NEEDS_PIN)
    apply(asking, NEEDS_TLS, exclusive=True, allow_weaker=True)
    assert sorted(ours(asking)) == ["smtp_hardening_encrypt", CLASSES, RESTRICTIONS]
    assert ours(asking)[CLASSES] == "smtp_hardening_encrypt"


@pytest.mark.parametrize("lost", [RESTRICTIONS, CLASSES, "smtp_hardening_encrypt"])
def test_a_part_of_ours_that_somebody_took_out_is_put_back(asking, lost):
    apply(asking, NEEDS_TLS, ROUTED)
    before = explicit(asking)
    asking.postfix.edit({}, [lost])
    planned = plan(asking, NEEDS_TLS)
    assert list(planned.plan.set) == [lost]
    assert planned.plan.files == ()
    asking.postfix.edit(planned.plan.set)
    assert explicit(asking) == before


def test_a_definition_that_somebody_weakened_is_made_good(asking):
    apply(asking, NEEDS_TLS)
    asking.postfix.edit({"smtp_hardening_encrypt": "permit"})
    assert plan(asking, NEEDS_TLS).plan.set == {"smtp_hardening_encrypt": "reject_plaintext_session"}


@pytest.mark.parametrize("parents", ["", "relay_domains"])
def test_names_below_a_domain_are_listed_where_postfix_does_not_look_for_parents(asking, parents):
    asking.append(f"parent_domain_matches_subdomains = {parents}\n")
    apply(asking, NEEDS_TLS)
    assert table(asking, "senders") == {
        "tls.example": "smtp_hardening_encrypt",
        ".tls.example": "smtp_hardening_encrypt",
    }


def test_pins_are_compared_by_sha_256(asking):
    assert plan(asking, NEEDS_PIN).plan.set["smtpd_tls_fingerprint_digest"] == "sha256"
    assert "smtpd_tls_fingerprint_digest" not in plan(asking, NEEDS_CERTIFICATE).plan.set


def test_sets_of_pins_are_numbered_in_their_own_order():
    pins = [":".join([f"{number:02X}"] * 32) for number in (5, 3, 7, 1, 6, 2, 8, 4)]
    made = entries([{"name": f"{pin[:2]}.example", "incoming": {"pins": [pin]}} for pin in pins])
    assert made == {f"{number:02}.example": f"smtp_hardening_pins_{number}" for number in range(1, 9)}


def test_classes_stand_in_their_own_order_whatever_the_domains_are_called(asking):
    apply(
        asking,
        {**NEEDS_PIN, "name": "a.example"},
        {"name": "b.example", "incoming": {}},
        {**NEEDS_CERTIFICATE, "name": "c.example"},
    )
    assert ours(asking)[CLASSES] == "smtp_hardening_certificate, smtp_hardening_encrypt, smtp_hardening_pins_1"


@pytest.mark.parametrize(
    ("restrictions", "definition", "unlisted"),
    [
        ("", "", "accept"),
        ("", UNEXPECTED, "accept"),
        ("reject_unknown_sender_domain", UNEXPECTED, "accept"),
        ("smtp_hardening_unlisted_too", UNEXPECTED, "accept"),
        ("smtp_hardening_unlisted", UNEXPECTED, "reject"),
        ("permit_mynetworks, smtp_hardening_unlisted", f"warn_if_reject {UNEXPECTED}", "warn"),
    ],
)
def test_unlisted_senders_are_what_the_restrictions_name_and_not_what_is_only_defined(
    node, restrictions, definition, unlisted
):
    node.append(f"{RESTRICTIONS} = {restrictions}\n{CLASSES} = smtp_hardening_unlisted\n")
    node.append(f"smtp_hardening_unlisted = {definition}\n")
    assert read_unlisted(node.state) is Unlisted(unlisted)


@pytest.mark.parametrize(
    ("records", "demanded"),
    [
        ([], set()),
        ([KNOWN], set()),
        ([NEEDS_TLS], {Demand.ENCRYPT}),
        ([NEEDS_TLS, NEEDS_PIN, NEEDS_CERTIFICATE], {Demand.ENCRYPT, Demand.PINS, Demand.CERTIFICATE}),
        ([{**NEEDS_PIN, "mode": "testing"}], set()),
        ([{**NEEDS_PIN, "mode": "testing"}, NEEDS_CERTIFICATE], {Demand.CERTIFICATE}),
    ],
)
def test_what_is_only_tested_is_not_demanded(asking, records, demanded):
    apply(asking, *records)
    assert demands(asking.state) == demanded


def test_a_listener_with_restrictions_of_its_own_passes_ours_by(node):
    node.services += "submission inet n - y - - smtpd\nrelay unix - - y - - smtp\n"
    node.override(
        f"submission/inet/{RESTRICTIONS}=permit", f"relay/unix/{RESTRICTIONS}=permit", "smtp/inet/mynetworks="
    )
    assert bypassed(node.state) == ["submission/inet"]


def test_the_run_after_the_last_day_makes_the_tables_anew_and_the_next_one_has_nothing_to_do(asking):
    record = {**NEEDS_TLS, "level": "encrypt", "route": "[mx.tls.example]", "local": True, "expires": str(TODAY)}
    apply(asking, record)
    assert not plan(asking, record).plan.changed
    tomorrow = TODAY.replace(month=4, day=1)
    planned = apply(asking, record, today=tomorrow)
    assert planned.before == planned.after
    assert [os.path.basename(new.path) for new in planned.plan.files] == ["records.json", "transport", "relay_domains"]
    assert not plan(asking, record, today=tomorrow).plan.changed
    assert not {RESTRICTIONS, CLASSES, "smtp_tls_policy_maps"} & set(explicit(asking))
