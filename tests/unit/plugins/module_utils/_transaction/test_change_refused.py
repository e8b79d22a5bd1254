# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change


def test_a_postfix_that_does_not_run_is_named_with_what_to_do(node):
    node.running = False
    with pytest.raises(PostfixError) as refusal:
        change(node, Plan(set={"mail_name": "Postfix"}))
    assert str(refusal.value) == (
        f"Postfix with the configuration in {node.config_dir} is not running, so nothing can be proven; "
        "start it first, then run the task again."
    )
