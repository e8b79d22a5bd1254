# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import read_allowance
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import CipherGrade, ServerLevel
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import ServerPolicy
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.kept import (
    Kept,
    keep_mandatory_exclusions,
    keep_stricter,
)

PROFILE = ServerPolicy(ServerLevel.MAY, ciphers=CipherGrade.MEDIUM, exclude_ciphers=())
NAME = "smtpd_tls_mandatory_exclude_ciphers"


def kept(effective, asked=PROFILE, stated=None, allow_weaker=False):
    return keep_stricter(effective, "server", asked, stated or ServerPolicy(), read_allowance(allow_weaker))


@pytest.mark.parametrize(
    ("effective", "told", "grade", "excluded"),
    [
        ({}, [], "medium", ()),
        ({"smtpd_tls_ciphers": "medium"}, [], "medium", ()),
        ({"smtpd_tls_ciphers": "High"}, [Kept("server.ciphers", "high")], "high", ()),
        ({"smtpd_tls_mandatory_ciphers": "high"}, [], "medium", ()),
        (
            {"smtpd_tls_exclude_ciphers": "aNULL:RC4, MD5 aNULL"},
            [Kept("server.exclude_ciphers", "aNULL, RC4, MD5")],
            "medium",
            ("aNULL", "RC4", "MD5"),
        ),
    ],
)
def test_what_is_stricter_than_a_profile_stays(effective, told, grade, excluded):
    asked, found = kept(effective)
    assert (asked.ciphers.value, asked.exclude_ciphers, found) == (grade, excluded, told)


def test_at_a_level_that_demands_tls_the_mandatory_grade_is_what_counts():
    asked, found = kept(
        {"smtpd_tls_mandatory_ciphers": "high"}, ServerPolicy(ServerLevel.ENCRYPT, ciphers=CipherGrade.MEDIUM)
    )
    assert (asked.ciphers, found) == (CipherGrade.HIGH, [Kept("server.ciphers", "high")])


def test_exclusions_are_joined_with_the_profiles():
    asked, _found = kept({"smtpd_tls_exclude_ciphers": "RC4"}, ServerPolicy(exclude_ciphers=("aNULL",)))
    assert asked.exclude_ciphers == ("aNULL", "RC4")


STRICT = {"smtpd_tls_ciphers": "high", "smtpd_tls_exclude_ciphers": "RC4"}


@pytest.mark.parametrize("allow_weaker", [True, ["server"], ["server.ciphers", "server.exclude_ciphers"]])
def test_what_may_fall_gives_way_to_the_profile(allow_weaker):
    assert kept(STRICT, allow_weaker=allow_weaker) == (PROFILE, [])


def test_what_a_task_states_itself_is_for_the_ratchet_to_judge():
    stated = ServerPolicy(ciphers=CipherGrade.MEDIUM, exclude_ciphers=())
    assert kept(STRICT, stated=stated) == (PROFILE, [])


@pytest.mark.parametrize(
    ("effective", "stated", "allow_weaker", "goes"),
    [
        ({NAME: "RC4"}, None, False, False),
        ({NAME: ""}, None, False, True),
        ({NAME: "RC4"}, (), False, True),
        ({NAME: "RC4"}, None, ["server.exclude_ciphers"], True),
    ],
)
def test_the_list_for_mandatory_tls_stays_unless_a_task_speaks_of_it(effective, stated, allow_weaker, goes):
    wanted = keep_mandatory_exclusions(
        effective, {NAME: None, "x": "y"}, "server", stated, read_allowance(allow_weaker)
    )
    assert wanted == ({NAME: None, "x": "y"} if goes else {"x": "y"})
