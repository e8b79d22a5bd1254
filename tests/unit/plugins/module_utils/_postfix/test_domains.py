# SPDX-License-Identifier: GPL-3.0-or-later
"""Records on a node: added, changed, taken out, and read again from the file beside their tables."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue, PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import (
    current_folder,
    read_records,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    ASKING,
    LOCAL,
    MTA_STS,
    PARENTS,
    PARTNER,
    PINS,
    TODAY,
    TOMORROW,
    WITHOUT_RELAY,
    YESTERDAY,
    apply,
    explicit,
    is_refused,
    plan,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import FakePostfix, pass_time, write


def test_a_second_run_changes_nothing(node):
    apply(node, PARTNER, LOCAL)
    assert not plan(node, PARTNER, LOCAL).plan.changed


def test_records_are_added_to_those_that_are_there(node):
    apply(node, PARTNER)
    assert [r.name for r in apply(node, LOCAL).after] == ["example.com", "partner.example"]


def test_exclusive_removes_what_is_not_listed(node):
    apply(node, PARTNER, LOCAL)
    assert [r.name for r in apply(node, LOCAL, exclusive=True, allow_weaker=True).after] == ["example.com"]
    assert "transport_maps" not in read_state(node.postfix).explicit


def test_a_domain_can_be_removed_alone(node):
    apply(node, PARTNER, LOCAL)
    assert [r.name for r in apply(node, {"name": "example.com", "state": "absent"}).after] == ["partner.example"]


def test_no_domain_left_takes_the_parameters_out(node):
    apply(node, PARTNER)
    apply(node, exclusive=True, allow_weaker=True)
    assert not {"smtp_tls_policy_maps", "transport_maps"} & set(read_state(node.postfix).explicit)


def test_a_table_edited_by_hand_is_made_anew(node):
    apply(node, PARTNER)
    path = os.path.join(node.config_dir, "smtp_hardening/domains/1/tls_policy")
    with open(path, "a", encoding="utf-8") as handle:
        handle.write("[mx.partner.example]:25\tnone\n")
    assert plan(node, PARTNER).plan.changed


def test_old_tables_are_gone_when_no_remembered_state_names_them(node):
    apply(node, PARTNER)
    apply(node, LOCAL)
    pass_time(node, 8)
    assert sorted(os.listdir(node.store("domains"))) == ["1", "2"]
    pass_time(node, 1)
    assert os.listdir(node.store("domains")) == ["2"]


def test_records_survive_the_way_through_the_file(node):
    planned = apply(node, PARTNER, LOCAL)
    assert read_records(os.path.join(node.config_dir, "smtp_hardening/domains/1")) == planned.after


def test_a_new_record_must_agree_with_those_on_the_node(node):
    apply(node, PARTNER)
    with pytest.raises(InvalidValue) as refusal:
        plan(node, {**PARTNER, "name": "subsidiary.example", "level": "may"})
    assert str(refusal.value) == (
        "domains: 'subsidiary.example' shares the next hop [mx.partner.example]:25 with partner.example but protects "
        "it differently (may against secure); "
        "give both the same level and match: Postfix looks policies up by next hop."
    )


def test_a_domain_can_leave_its_next_hop_to_another_with_a_new_level(node):
    apply(node, PARTNER)
    after = apply(
        node,
        {"name": "partner.example", "state": "absent"},
        {**PARTNER, "name": "subsidiary.example", "level": "encrypt"},
        allow_weaker=True,
    ).after
    assert [(r.name, r.protection) for r in after] == [("subsidiary.example", "encrypt")]


def test_records_of_one_next_hop_still_agree_on_the_day_after_one_expired(node):
    """Time alone must not make a run fail: nobody has changed anything."""
    records = [PARTNER, {**PARTNER, "name": "subsidiary.example", "expires": str(TODAY)}]
    apply(node, *records)
    planned = apply(node, *records, today=TODAY.replace(month=4, day=1))
    assert planned.expired(TODAY.replace(month=4, day=1)) == ["subsidiary.example"]


@pytest.mark.parametrize(("level", "agrees"), [("may", True), ("secure", False)])
def test_records_of_one_next_hop_agree_by_what_is_in_force(node, level, agrees):
    """A record in testing is as open as one at may."""
    apply(node, {**PARTNER, "mode": "testing"})
    other = {**PARTNER, "name": "subsidiary.example", "level": level}
    assert is_refused(lambda: plan(node, other)) is not agrees


def test_every_field_of_a_record_survives_the_way_through_the_file(node):
    pin = ":".join(["AB"] * 32)
    records = [
        {"name": "a.example", "level": "fingerprint", "match": [pin], "route": "[2001:db8::25]:25"},
        {"name": ".b.example", "level": "secure", "match": ["hostname", ".b.example"]},
        {"name": "c.example", "route": "lmtp:[store.example]:24", "local": True},
        {"name": "d.example", "level": "dane-only"},
    ]
    wanted, _absent = read_domains(records)
    apply(node, *records)
    kept = read_records(os.path.join(node.config_dir, "smtp_hardening/domains/1"))
    assert set(kept) == set(wanted)
    assert list(kept) == sorted(wanted, key=lambda record: record.name)


def test_a_diff_shows_the_records_as_lines(node):
    apply(node, LOCAL)
    shown = plan(node, PARTNER).plan.diff()[-1]
    assert (shown["before"], shown["after"]) == (
        "example.com local=True\n",
        "example.com local=True\npartner.example level=secure route=smtp:[mx.partner.example]:25\n",
    )


def test_an_index_that_is_missing_is_built_anew(node):
    apply(node, PARTNER)
    os.unlink(os.path.join(node.config_dir, "smtp_hardening/domains/1/transport.db"))
    apply(node, PARTNER)
    assert sorted(os.listdir(os.path.join(node.config_dir, "smtp_hardening/domains/2"))) == [
        "records.json",
        "tls_policy",
        "tls_policy.db",
        "transport",
        "transport.db",
    ]


def test_tables_follow_the_type_that_new_ones_get(node):
    record = {"name": "partner.example", "level": "encrypt", "route": "[mx.partner.example]"}
    apply(node, record)
    node.append("default_database_type = btree\n")
    apply(node, record)
    assert node.state.explicit["transport_maps"] == f"btree:{node.store('domains/2/transport')}"
    assert not plan(node, record).plan.changed


def test_a_parameter_that_an_operator_took_out_is_put_back(node):
    apply(node, PARTNER)
    node.postfix.edit({}, ["transport_maps"], ())
    planned = plan(node, PARTNER)
    assert list(planned.plan.set) == ["transport_maps"]
    assert planned.plan.files == ()


def test_removing_a_domain_that_is_not_there_changes_nothing(node):
    assert not plan(node, {"name": "partner.example", "state": "absent"}).plan.changed


@pytest.mark.parametrize("content", [None, "{", '[{"level": "may"}]'])
def test_broken_records_are_made_anew_only_by_a_complete_list(node, content):
    apply(node, PARTNER)
    path = os.path.join(node.config_dir, "smtp_hardening/domains/1/records.json")
    if content is None:
        os.unlink(path)
    else:
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(content)
    with pytest.raises(PostfixError, match="List all domains with exclusive: true"):
        plan(node, LOCAL)
    for half in ({"exclusive": True}, {"allow_weaker": True}):
        with pytest.raises(PostfixError, match="List all domains with exclusive: true"):
            plan(node, LOCAL, **half)
    assert [r.name for r in apply(node, LOCAL, exclusive=True, allow_weaker=True).after] == ["example.com"]


@pytest.mark.parametrize(
    "content",
    ["null", "1", "[1]", '["a.example"]', '{"name": "a.example"}', '[{"name": "a.example", "incoming": 1}]', "\xff"],
)
def test_records_of_another_shape_are_made_anew_only_by_a_complete_list(node, content):
    apply(node, PARTNER)
    write(node.store("domains/1/records.json"), content.encode("latin-1"))
    with pytest.raises(PostfixError, match="List all domains with exclusive: true"):
        plan(node, LOCAL)
    assert [r.name for r in apply(node, LOCAL, exclusive=True, allow_weaker=True).after] == ["example.com"]


def test_records_of_an_older_release_are_read(node):
    apply(node, PARTNER)
    old = {
        "name": "partner.example",
        "level": "secure",
        "match": [],
        "route": "smtp:[mx.partner.example]:25",
        "local": False,
    }
    write(node.store("domains/1/records.json"), json.dumps([old]))
    planned = plan(node, PARTNER)
    assert planned.before == planned.after
    assert not planned.plan.changed


def test_a_note_alone_makes_new_files_with_the_same_tables(node):
    apply(node, PARTNER)
    planned = apply(node, {**PARTNER, "owner": "mail team", "reason": "contract 7: Zürich"})
    assert planned.plan.diff()[-1]["after"] == (
        "partner.example level=secure route=smtp:[mx.partner.example]:25 owner=mail team reason=contract 7: Zürich\n"
    )
    assert read_records(current_folder(node.state))[0].reason == "contract 7: Zürich"


@pytest.mark.parametrize(
    "given", [{"level": "secure"}, {"level": "may", "mode": "testing"}, {"incoming": {"level": "may"}}]
)
def test_a_record_of_which_nothing_holds_any_more_is_not_forgotten(node, given):
    record = {"name": "a.example", **given, "expires": YESTERDAY}
    apply(node, record)
    assert not plan(node, record).plan.changed
    assert plan(node).expired(TODAY) == ["a.example"]


EVERYTHING = [
    {"name": "a.example", "level": "encrypt", "route": "[mx.a.example]", "local": True, "subdomains": True},
    {"name": "b.example", "level": "may", "incoming": {}, "mode": "testing"},
    {"name": "c.example", "local": True, "incoming": {"client_certificates": "require"}, "expires": TOMORROW},
    {"name": "d.example", "incoming": {"level": "may"}, "expires": YESTERDAY},
]


@pytest.mark.parametrize("end", [{"exclusive": True}, {"absent": True}])
def test_nothing_of_ours_is_left_when_the_last_record_goes(node, end):
    node.append(ASKING)
    before = explicit(node)
    apply(node, *EVERYTHING, unlisted=Unlisted.REJECT, sources=(MTA_STS,))
    assert len(explicit(node)) > len(before) + 5
    gone = [{"name": item["name"], "state": "absent"} for item in EVERYTHING] if "absent" in end else []
    apply(node, *gone, exclusive=not gone, unlisted=Unlisted.ACCEPT, sources=(), allow_weaker=True)
    after = explicit(node)
    assert after.pop(PARENTS) == WITHOUT_RELAY
    assert after == before
    assert not plan(node, *gone).plan.changed


def test_parameters_that_other_mail_may_rest_on_by_then_stay_when_the_last_record_goes(node):
    """smtp_tls_mode sets the same ones."""
    node.append(ASKING)
    before = explicit(node)
    pinned = {"name": "c.example", "level": "fingerprint", "match": PINS[:1], "incoming": {"pins": PINS[:1]}}
    apply(node, {"name": "b.example", "level": "dane"}, pinned)
    apply(node, exclusive=True, allow_weaker=True)
    assert set(explicit(node)) - set(before) == {
        "smtp_dns_support_level",
        "smtp_tls_dane_insecure_mx_policy",
        "smtp_tls_fingerprint_digest",
        "smtpd_tls_fingerprint_digest",
    }


def test_a_folder_whose_name_means_something_to_a_regular_expression_is_found_again(tmp_path):
    (tmp_path / "c++[1]").mkdir()
    node = FakePostfix(tmp_path / "c++[1]")
    node.append(ASKING)
    items = [{**PARTNER, "incoming": {}, "local": True}, {"name": "b.example", "level": "encrypt"}]
    apply(node, *items)
    assert current_folder(node.state) == node.store("domains/1")
    assert not plan(node, *items).plan.changed
    apply(node, {"name": "c.example", "incoming": {}})
    assert {value.count("/domains/") for name, value in explicit(node).items() if "/domains/" in value} == {1}
    apply(node, exclusive=True, allow_weaker=True)
    assert not [name for name, value in explicit(node).items() if "/domains/" in value]
