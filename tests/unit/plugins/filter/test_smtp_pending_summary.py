# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_pending_summary import FilterModule
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._summary import pending


def test_it_is_a_filter():
    assert FilterModule().filters() == {"smtp_pending_summary": pending}
