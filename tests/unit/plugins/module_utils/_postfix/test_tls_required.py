# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.tls_required import (
    PARAMETER,
    demands,
    tls_required,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import apply

DEMANDING = ["encrypt", "dane-only", "fingerprint", "verify", "secure"]


@pytest.fixture
def knowing(node):
    """Postfix 3.10, which looks at the header by default."""
    node.defaults[PARAMETER] = "yes"
    return node


@pytest.mark.parametrize("level", ClientLevel)
def test_a_level_that_holds_mail_back_is_one_that_the_header_could_lower(level):
    assert demands(level) is (level.value in DEMANDING)


@pytest.mark.parametrize(
    ("levels", "honored", "wanted"),
    [
        *(([level], None, {PARAMETER: "no"}) for level in DEMANDING),
        (["may", "encrypt"], None, {PARAMETER: "no"}),
        (["may", None, "dane"], None, {}),
        ([None], None, {}),
        ([], None, {}),
        (["secure"], True, {PARAMETER: "yes"}),
        (["may"], False, {PARAMETER: "no"}),
        ([None], True, {PARAMETER: "yes"}),
    ],
)
def test_the_header_lowers_no_mandatory_level_unless_a_task_says_so(knowing, levels, honored, wanted):
    assert tls_required(knowing.state, [level and ClientLevel(level) for level in levels], honored) == wanted


def test_before_postfix_3_10_there_is_nothing_to_keep_from_it(node):
    assert tls_required(node.state, [ClientLevel.SECURE], None) == {}


def test_a_record_that_demands_tls_is_enough(knowing):
    apply(knowing, {"name": "bank.example", "level": "encrypt"})
    assert knowing.state.explicit[PARAMETER] == "no"
