# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import resource
import subprocess
import sys

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _core_dumps

LIMIT = "import resource; print(*resource.getrlimit(resource.RLIMIT_CORE))"


def test_a_process_and_those_that_it_starts_leave_no_image_of_their_memory(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        _core_dumps.leave_none()
        child = subprocess.run([sys.executable, "-c", LIMIT], capture_output=True, text=True, check=True)
        assert child.stdout.split() == ["0", str(before[1])]
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
