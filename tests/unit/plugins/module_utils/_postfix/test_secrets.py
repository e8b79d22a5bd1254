# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.secrets import read_secrets
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import read_settings
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import secrets
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.rollback import plan_rollback
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.settings import (
    SettingsWish,
    plan_settings,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import (
    change,
    pass_time,
    picture,
    read,
    write,
)

MAPS = "smtp_sasl_password_maps"
HEAD = "# Made by mailfleet.smtp_hardening.smtp_settings; changes made here are undone by its next run.\n"
FIRST = {"[mx.provider.example]:587": "ann:first secret"}
SECOND = {"[mx.provider.example]:587": "ann:second secret", "other.example": "bob:third secret"}


def plan(node, table, **parameters):
    wish = SettingsWish(read_settings(parameters, {}, []), secrets=read_secrets({MAPS: table}))
    return plan_settings(node.state, wish)


def give(node, table):
    change(node, plan(node, table))


def file(node, number):
    return node.store("secrets", str(number), MAPS)


def named(node):
    return node.state.explicit.get(MAPS)


def mode(path):
    return oct(stat.S_IMODE(os.stat(path).st_mode))


@pytest.fixture
def knowing(node):
    """A node that knows a password."""
    give(node, FIRST)
    return node


def test_a_table_of_secrets_is_built_named_and_answers_as_written(node):
    give(node, SECOND)
    assert named(node) == f"hash:{file(node, 1)}"
    assert read(file(node, 1)) == HEAD + "".join(f"{key}\t{value}\n" for key, value in sorted(SECOND.items()))
    assert node.tables[file(node, 1)] == SECOND


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_root_alone_reads_secrets_whatever_the_umask_says(node, umask):
    before = os.umask(umask)
    try:
        give(node, FIRST)
    finally:
        os.umask(before)
    assert [mode(path) for path in (node.store("secrets"), node.store("secrets", "1"), file(node, 1))] == [
        "0o700",
        "0o700",
        "0o600",
    ]


@pytest.mark.parametrize("table", [{}, SECOND, FIRST])
def test_no_secret_is_shown_when_it_comes_changes_or_goes(knowing, table):
    found = plan(knowing, table)
    told = f"{found} {found.diff()} {found.summary()} {found.summary_line()}"
    assert not [word for word in ("ann:", "bob:", "first secret", "third secret") if word in told]


def test_a_diff_shows_that_secrets_differ_and_how_many_there_are(node):
    def shown(table):
        return [(part["before_header"], part["before"], part["after"]) for part in plan(node, table).diff()]

    main_cf, title = node.path("main.cf"), f"secrets for {MAPS}"
    one, two = (f"{MAPS} = hash:{file(node, number)}\n" for number in (1, 2))
    assert shown(FIRST) == [(main_cf, "", one), (title, "", "1 entries, not shown, changed\n")]
    give(node, FIRST)
    assert shown(FIRST) == []
    assert shown(SECOND) == [
        (main_cf, one, two),
        (title, "entries, not shown\n", "2 entries, not shown, changed\n"),
    ]
    assert shown({}) == [(main_cf, one, "")]


def test_the_history_tells_the_number_of_the_table_and_no_more(knowing):
    assert history.past(knowing.config_dir)[-1].summary == f"set: {MAPS}; files: secrets/1/{MAPS}"
    kept = [content for path, (*_each, content, _time) in picture(knowing.store("history")).items() if content]
    assert kept and not [content for content in kept if b"first" in content]


def test_the_same_secrets_change_nothing_whatever_their_order(node):
    give(node, SECOND)
    before = picture(node.config_dir)
    assert not plan(node, dict(reversed(SECOND.items()))).changed
    assert picture(node.config_dir) == before


@pytest.mark.parametrize(
    "table",
    [
        {"[mx.provider.example]:587": "ann:changed"},
        {"[mx.provider.example]:465": "ann:first secret"},
        {**FIRST, "more.example": "x"},
    ],
)
def test_what_changes_gets_a_new_number_and_the_old_table_stays_as_it_was(knowing, table):
    old = picture(knowing.store("secrets", "1"))
    give(knowing, table)
    assert named(knowing) == f"hash:{file(knowing, 2)}"
    assert knowing.tables[file(knowing, 2)] == table
    assert picture(knowing.store("secrets", "1")) == old
    assert mode(file(knowing, 2)) == "0o600"


def test_an_old_table_that_has_been_tampered_with_is_made_anew(knowing):
    write(file(knowing, 1), HEAD + "[mx.provider.example]:587\teve:evil\n")
    found = plan(knowing, FIRST)
    assert [new.path for new in found.files] == [file(knowing, 2)]
    give(knowing, FIRST)
    assert not plan(knowing, FIRST).changed


def test_a_table_whose_source_is_gone_is_made_anew(knowing):
    os.unlink(file(knowing, 1))
    assert len(plan(knowing, FIRST).files) == 1
    give(knowing, FIRST)
    assert knowing.tables[named(knowing).partition(":")[2]] == FIRST
    assert not plan(knowing, FIRST).changed


def test_an_empty_table_takes_the_parameter_out_and_its_file_stays_for_the_history(knowing):
    give(knowing, {})
    assert named(knowing) is None
    assert os.path.exists(file(knowing, 1))
    assert not plan(knowing, {}).changed


@pytest.mark.parametrize(
    "map_",
    [
        "hash:/etc/postfix/sasl_passwd",
        "hash:{0}/secrets/1/other_maps",
        "hash:{0}/secrets/x/smtp_sasl_password_maps",
        "hash:{0}/secrets/1/smtp_sasl_password_maps_old",
        "hash:{0}/secrets/1/smtp_sasl_password_maps, hash:/etc/postfix/sasl_passwd",
        "hash:/etc/postfix/sasl_passwd, hash:{0}/secrets/1/smtp_sasl_password_maps",
        "hash:/mnt{0}/secrets/1/smtp_sasl_password_maps",
        "static:ann:own",
        "",
    ],
)
def test_an_operators_own_map_stays_where_there_are_no_secrets_and_is_not_written_to(node, map_):
    node.append(f"{MAPS} = {map_.format(node.store())}\n")
    before = picture(node.config_dir)
    assert secrets.current(node.state, MAPS) is None
    assert not plan(node, {}).changed
    found = plan(node, FIRST)
    assert found.set == {MAPS: f"hash:{file(node, 1)}"}
    assert found.diff()[1]["before"] == ""
    assert picture(node.config_dir) == before


def test_no_map_at_all_and_no_secrets_are_nothing_to_do(node):
    assert not plan(node, {}).changed
    assert secrets.secret_changes(node.state, {}) == ({}, (), ())


def test_our_own_table_is_known_by_its_place(knowing):
    assert secrets.current(knowing.state, MAPS) == file(knowing, 1)
    assert secrets.current(knowing.state, "relayhost") is None


def test_secrets_of_past_states_are_forgotten_with_them(knowing):
    give(knowing, SECOND)
    pass_time(knowing, history.KEPT - 2)
    assert os.path.exists(file(knowing, 1)), "the oldest state still names it"
    pass_time(knowing, 1)
    assert sorted(os.listdir(knowing.store("secrets"))) == ["2"]
    assert knowing.tables[file(knowing, 2)] == SECOND


def test_secrets_that_were_taken_out_are_forgotten_in_the_end(knowing):
    give(knowing, {})
    pass_time(knowing, history.KEPT)
    assert os.listdir(knowing.store("secrets")) == []
    give(knowing, SECOND)
    assert named(knowing) == f"hash:{file(knowing, 1)}"


def back(node, number):
    past = history.find(node.config_dir, number)
    change(node, plan_rollback(node.state, history.contents(node.config_dir, past)))


def test_a_rollback_brings_the_old_password_back_and_the_next_run_the_new_one(knowing):
    give(knowing, SECOND)
    back(knowing, 2)
    assert named(knowing) == f"hash:{file(knowing, 1)}"
    assert not plan(knowing, FIRST).changed
    give(knowing, SECOND)
    assert named(knowing) == f"hash:{file(knowing, 3)}"


def test_a_rollback_to_the_state_without_a_password_leaves_its_file_for_the_way_forward(knowing):
    back(knowing, 1)
    assert named(knowing) is None
    back(knowing, 2)
    assert named(knowing) == f"hash:{file(knowing, 1)}"


@pytest.mark.parametrize("there", [True, False], ids=["second", "first"])
def test_secrets_that_are_not_proven_leave_no_trace(node, there):
    def refuse():
        raise ProofFailed("The wire shows something else.")

    if there:
        give(node, FIRST)
    before = picture(node.config_dir)
    with pytest.raises(ProofFailed) as failure:
        change(node, plan(node, SECOND), refuse)
    assert "secret" not in str(failure.value)
    assert picture(node.config_dir) == before
    assert named(node) == (f"hash:{file(node, 1)}" if there else None)


def test_a_table_that_does_not_answer_as_written_is_not_used_and_not_repeated(knowing, monkeypatch):
    before = picture(knowing.config_dir)
    monkeypatch.setattr(knowing.postfix.__class__, "ask_table", lambda *given: ())
    with pytest.raises(Exception, match="does not answer as it was written") as failure:
        give(knowing, SECOND)
    assert "ann" not in str(failure.value)
    assert picture(knowing.config_dir) == before


def test_secrets_and_the_parameters_that_need_them_come_in_one_change(node):
    wanted = {"relayhost": "[mx.provider.example]:587", "smtp_sasl_auth_enable": True}
    change(node, plan(node, FIRST, **wanted))
    assert {name: node.state.explicit[name] for name in (*wanted, MAPS)} == {
        "relayhost": "[mx.provider.example]:587",
        "smtp_sasl_auth_enable": "yes",
        MAPS: f"hash:{file(node, 1)}",
    }
    assert not plan(node, FIRST, **wanted).changed
