# SPDX-License-Identifier: GPL-3.0-or-later
"""smtp-metrics, and a Postfix for it to look at."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import EFFECTIVE, MASTER
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY, load


@pytest.fixture(scope="module")
def program():
    return load(RELAY / "smtp-metrics.py")


@pytest.fixture
def instance(program, tmp_path):
    """Make an instance as postconf would show it."""

    def make(effective=(), explicit=(), master="", overrides=(), config_dir=None):
        entries = (MASTER + master).splitlines()
        services = program.read_services(entries, list(overrides))
        found = {**EFFECTIVE, "queue_directory": str(tmp_path / "spool"), **dict(effective)}
        return program.Instance(config_dir or str(tmp_path / "postfix"), found, list(explicit), entries, services)

    return make
