# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_summary import FilterModule
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._summary import summary


def test_it_is_a_filter():
    assert FilterModule().filters() == {"smtp_summary": summary}
