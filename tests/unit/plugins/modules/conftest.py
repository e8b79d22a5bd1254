# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import work


@pytest.fixture(autouse=True)
def proven(monkeypatch):
    """The wire shows what it should."""
    monkeypatch.setattr(work, "prove", lambda postfix, started_with, unproven: [{"service": "smtp/inet"}])
    monkeypatch.setattr(work, "prove_twin", lambda twin, services, unproven: [])
    monkeypatch.setattr(work, "check_master", lambda postfix, staged: None)
