# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._memory import lent


def test_what_is_lent_is_read_here_and_by_other_programs_and_is_gone_afterwards():
    with lent(b"a key\n") as path:
        with open(path, "rb") as handle:
            assert handle.read() == b"a key\n"
        assert subprocess.run(["cat", path], capture_output=True, check=True).stdout == b"a key\n"
    assert not os.path.exists(path)


def test_what_is_lent_goes_when_its_use_fails():
    with pytest.raises(KeyError), lent(b"a key\n") as path:
        raise KeyError
    assert not os.path.exists(path)
