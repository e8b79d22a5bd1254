# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix for the metrics to look at."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import validator
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    EFFECTIVE,
    MASTER,
    NOBODY,
)


@pytest.fixture(autouse=True)
def resolv_conf(tmp_path, monkeypatch):
    """Whom the machine asks that runs the tests is nobody's business."""
    monkeypatch.setattr(validator, "RESOLV_CONF", str(tmp_path / "resolv.conf"))


@pytest.fixture
def instance(tmp_path):
    """Make an instance as postconf shows it."""

    def make(effective=(), explicit=(), master="", overrides=(), *, config_dir=None, entries=None):
        folder = config_dir or str(tmp_path / "postfix")
        found = {**EFFECTIVE, "queue_directory": str(tmp_path / "spool"), **dict(effective)}
        answers = {
            "-x": "".join(f"{name} = {value}\n" for name, value in found.items()),
            "-n": "".join(f"{line}\n" for line in explicit),
            "-M": entries or MASTER + master,
            "-Px": "".join(f"{line}\n" for line in overrides),
            "-dx": "",
            "-d": "",
        }
        for name in ("main.cf", "master.cf"):
            write(os.path.join(folder, name), "")
        return read_state(Postfix(lambda argv, stdin=None: Completed(0, answers[argv[-1]], ""), folder))

    return make


@pytest.fixture
def theirs(tmp_path):
    """A folder of somebody else's, in which lie a file of theirs and one of root's is within reach."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "file").write_text("theirs")
    (tmp_path / "secret").write_text("root's")
    for path in (folder, folder / "file"):
        os.chown(path, NOBODY, NOBODY)
    return folder
