# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _program, _renewal
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import pem, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import read, write

PACKAGE = "ansible_collections.mailfleet.smtp_hardening.plugins.module_utils"


@pytest.fixture
def program(tmp_path):
    return write(str(tmp_path / "renew.pyz"), _program.archive())


def python(*words, **over):
    """Another Python, which knows nothing of this collection or of its working directory."""
    done = subprocess.run(
        [sys.executable, "-I", "-B", *words], capture_output=True, text=True, check=False, timeout=60, **over
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_the_same_code_makes_the_same_bytes():
    assert _program.archive() == _program.archive()


def test_an_archive_holds_this_packages_code_and_an_entry_that_starts_it():
    with zipfile.ZipFile(io.BytesIO(_program.archive())) as packed:
        names = packed.namelist()
        main = packed.read("__main__.py").decode()
        renewal = packed.read(f"{PACKAGE.replace('.', '/')}/_renewal.py").decode()
    assert f"from {PACKAGE}._renewal import main" in main
    assert renewal == read(_renewal.__file__)
    assert names == sorted(names)
    folders = PACKAGE.split(".")
    for depth in range(len(folders)):
        assert f"{'/'.join(folders[: depth + 1])}/__init__.py" in names
    assert all(name == "__main__.py" or name.startswith("ansible_collections/") for name in names)
    assert not any("/modules/" in name or "/tests/" in name for name in names)


def test_every_module_that_is_packed_is_imported_from_the_archive_alone(program):
    code = (
        f"import sys; sys.path.insert(0, {program!r}); import {PACKAGE}._renewal; "
        f"found = [m for n, m in sys.modules.items() if n.startswith('{PACKAGE}.') and m.__file__]; "
        f"print(len(found) > 30, all(m.__file__.startswith({program!r}) for m in found), "
        "[n for n in sys.modules if n == 'ansible' or n.startswith('ansible.')])"
    )
    assert python("-c", code) == (0, "True True []", "")


def test_the_program_runs_and_ends_in_one_sentence(program, tmp_path, issue):
    nowhere = str(tmp_path / "postfix")
    chain = issue()
    material = {"key": pem(chain)["private_key"], "crt": pem(chain)["certificate"]}
    paths = {name: write(str(tmp_path / name), text) for name, text in material.items()}
    given = {"tool": "other", "private_key": paths["key"], "certificate": paths["crt"], "hook": False}
    options = task("external", given, name="public", config_dir=nowhere)
    write(str(tmp_path / "public.json"), json.dumps(options))
    code, said, complaint = python(program, "public")
    assert (code, said) == (1, "")
    assert complaint == (
        f"smtp_tls_cert public: config_dir: {nowhere!r} holds no main.cf; "
        "install Postfix first (role relay does), or name the instance's directory."
    )
