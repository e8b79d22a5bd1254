# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs for nodes are packed on the controller, and go when Ansible ends."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible_collections.mailfleet.smtp_hardening.plugins.lookup import smtp_program
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _program
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

NAME = "mailfleet.smtp_hardening.smtp_program"
FOLDER = pathlib.Path(__file__).parents[4] / "plugins" / "lookup"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where Ansible keeps files for as long as it runs."""
    monkeypatch.setattr(smtp_program.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def packed(*terms):
    return smtp_program.LookupModule().run(terms)


def test_a_program_is_a_file_that_holds_its_archive(folder):
    (path,) = packed("metrics")
    assert os.listdir(folder) == [os.path.basename(path)]
    assert pathlib.Path(path).read_bytes() == _program.archive(_program.METRICS)


def test_a_program_is_packed_once_however_many_nodes_it_is_for(monkeypatch):
    asked = []
    monkeypatch.setattr(_program, "archive", lambda entry: asked.append(entry) or b"x")
    assert packed("metrics") == packed("metrics")
    assert asked == [_program.METRICS]


@pytest.mark.parametrize("name", ["renewal", "", "../metrics", 7, None])
def test_no_other_program_is_there(folder, name):
    with pytest.raises(AnsibleLookupError, match="is no program for nodes; name one of metrics"):
        packed(name)
    assert os.listdir(folder) == []


def test_it_is_documented_with_the_programs_that_there_are():
    found = yaml.safe_load((FOLDER / "smtp_program.yml").read_text(encoding="utf-8"))
    assert found["DOCUMENTATION"]["name"] == "smtp_program"
    for name in smtp_program.PROGRAMS:
        assert f"V({name})" in found["DOCUMENTATION"]["options"]["_terms"]["description"]
        assert f"lookup('{NAME}', '{name}')" in found["EXAMPLES"]
    assert yaml.safe_load(found["EXAMPLES"])


@pytest.mark.parametrize(
    ("file", "name"),
    [("tasks/metrics.yml", "metrics"), ("tasks/mta_sts.yml", "dane-first"), ("vars/main.yml", "validator")],
)
def test_the_role_installs_it_as_the_example_does(file, name):
    assert f"lookup('{NAME}', '{name}')" in (RELAY.parent / file).read_text(encoding="utf-8")


def test_the_roles_own_program_runs_from_its_archive():
    (path,) = packed("dane-first")
    done = subprocess.run(
        [sys.executable, "-I", path, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--dane" in done.stdout
