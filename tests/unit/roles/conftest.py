# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that roles bring to nodes."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import load


@pytest.fixture(scope="module")
def program(request):
    """The program that the test module names as SCRIPT."""
    return load(request.module.SCRIPT)
