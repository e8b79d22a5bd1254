# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of plans share: a server that asks its clients."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import ASKING


@pytest.fixture
def asking(node):
    """A node whose server offers TLS, asks for certificates and trusts a CA."""
    node.append(ASKING)
    return node
