# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import master
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.master import may_signal


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ("CapPrm:\t0000000000000000\nCapEff:\t00000000a80425fb\nCapBnd:\t0000000000000000\n", True),
        ("CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425db\nCapBnd:\t00000000a80425fb\n", False),
        ("CapEff:\t0000000000000000\n", False),
        ("Name:\tmaster\n", True),  # a kernel that does not say
    ],
)
def test_the_master_may_end_its_processes_where_its_effective_capabilities_hold_cap_kill(monkeypatch, status, may):
    monkeypatch.setattr(master, "open", lambda path, **options: io.StringIO(status), raising=False)
    assert may_signal(4711) is may


def test_nothing_is_known_of_a_master_that_does_not_run():
    assert may_signal(0)
