# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import hooks


@pytest.fixture(autouse=True)
def systemd(monkeypatch, tmp_path):
    """Runs on every node, whatever runs here."""
    monkeypatch.setattr(hooks, "SYSTEMD", str(tmp_path))
