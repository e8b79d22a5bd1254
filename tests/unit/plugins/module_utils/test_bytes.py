# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _bytes


@pytest.mark.parametrize("content", [b"plain", "grüß".encode(), b"gr\xfc\xdf", bytes(range(256))])
def test_bytes_survive_as_text(content):
    assert _bytes.to_bytes(_bytes.to_text(content)) == content
