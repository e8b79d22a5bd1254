# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.entries import read_entries
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.secrets import read_secrets
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import read_settings
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.settings import (
    SettingsWish,
    plan_settings,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, read
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import guarded

MAPS = "smtp_sasl_password_maps"
HOP = "[mx.example.com]:587"


def plan(node, *, parameters=None, where_known=None, services=(), secrets=None, allow_weaker=False):
    settings = read_settings(parameters or {}, where_known or {}, [])
    planned = plan_settings(node.state, SettingsWish(settings, read_entries(services), read_secrets(secrets)))
    guarded(node, planned, allow_weaker)
    return planned


def bring(node, **wish):
    """Carry it out and look whether a second run would change anything."""
    change(node, plan(node, **wish))
    assert not plan(node, **wish).changed


def entry(node, key):
    return next((service.entry for service in node.state.services if service.key == key), None)


def test_a_parameter_that_this_postfix_does_not_know_is_passed_over(node):
    found = plan(node, where_known={"relayhost": "[mx.example.com]", "smtpd_forbid_bare_newline": "normalize"})
    assert found.set == {"relayhost": "[mx.example.com]"}


def test_a_new_listener_comes_with_what_holds_for_it_alone(node):
    bring(node, services=[{"name": "submission", "command": "smtpd", "parameters": {"smtpd_tls_auth_only": True}}])
    assert entry(node, "submission/inet") == "submission inet n - y - - smtpd -o smtpd_tls_auth_only=yes"


def test_an_entry_keeps_what_the_task_does_not_name(node):
    node.override("smtp/inet/syslog_name=edge")
    bring(node, services=[{"name": "smtp", "process_limit": "250", "chroot": False}])
    assert entry(node, "smtp/inet") == "smtp inet n - n - 250 smtpd -o syslog_name=edge"


def test_an_entry_goes_and_is_shown_as_gone(node):
    bring(node, services=[{"name": "submission", "command": "smtpd"}])
    found = plan(node, services=[{"name": "submission", "state": "absent"}, {"name": "uucp/unix", "state": "absent"}])
    assert found.gone == ("submission/inet",)
    assert [(shown.before, shown.after) for shown in found.shown] == [("submission inet n - y - - smtpd\n", "")]
    bring(node, services=[{"name": "submission", "state": "absent"}])
    assert entry(node, "submission/inet") is None


def test_postscreen_takes_the_place_of_smtpd_and_gives_it_back(node):
    before = node.services
    bring(node, services=[{"name": "smtp", "command": "postscreen", "process_limit": "1"}])
    assert entry(node, "smtp/inet") == "smtp inet n - y - 1 postscreen"
    bring(node, services=[{"name": "smtp", "command": "smtpd", "process_limit": "default"}])
    assert node.services == before


def test_another_program_does_not_lose_what_the_present_one_was_told(node):
    node.override("smtp/inet/content_filter=scan:[127.0.0.1]:10024")
    with pytest.raises(InvalidValue, match="would lose .* content_filter"):
        plan(node, services=[{"name": "smtp", "command": "postscreen"}])


def test_an_entry_that_is_not_there_needs_a_command(node):
    with pytest.raises(InvalidValue, match="is not in master.cf"):
        plan(node, services=[{"name": "submission", "process_limit": "5"}])


def test_a_listener_is_not_made_weaker_unless_that_is_said(node):
    bring(
        node,
        services=[{"name": "submission", "command": "smtpd", "parameters": {"smtpd_tls_security_level": "encrypt"}}],
    )
    weaker = [{"name": "submission", "parameters": {"smtpd_tls_security_level": "may"}}]
    with pytest.raises(HardeningError, match="submission/inet.level from encrypt to may"):
        plan(node, services=weaker)
    assert plan(node, services=weaker, allow_weaker=True).changed


def secrets_file(node, number):
    return node.store("secrets", str(number), MAPS)


def test_a_secret_lies_where_root_alone_can_read_it_and_is_shown_nowhere(node):
    wish = {"secrets": {MAPS: {HOP: "ann:hidden"}}}
    found = plan(node, **wish)
    shown = f"{found.summary()} {found.diff()} {found.summary_line()} {found}"
    bring(node, **wish)
    path = secrets_file(node, 1)
    assert "hidden" not in shown and "ann" not in shown
    assert f"{HOP}\tann:hidden\n" in read(path)
    assert [stat.S_IMODE(os.stat(name).st_mode) for name in (path, os.path.dirname(path))] == [0o600, 0o700]
    assert node.state.explicit[MAPS] == f"hash:{path}"


def test_a_new_secret_stands_beside_the_old_one_until_nothing_names_that(node):
    bring(node, secrets={MAPS: {HOP: "ann:hidden"}})
    bring(node, secrets={MAPS: {HOP: "ann:other"}})
    assert node.state.explicit[MAPS] == f"hash:{secrets_file(node, 2)}"
    assert os.path.exists(secrets_file(node, 1)), "the history can go back to it"


def test_without_secrets_the_table_goes_but_not_an_operators_own(node):
    bring(node, secrets={MAPS: {HOP: "ann:hidden"}})
    bring(node, secrets={MAPS: {}})
    assert MAPS not in node.state.explicit
    node.append(f"{MAPS} = hash:/etc/postfix/passwords\n")
    assert not plan(node, secrets={MAPS: {}}).changed
