# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _program
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import pem, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import read, write

PACKAGE = "ansible_collections.mailfleet.smtp_hardening.plugins.module_utils"
FOLDER = PACKAGE.replace(".", "/")
ENTRIES = [_program.RENEWAL, _program.METRICS]
LATER = {_program.RENEWAL: "_task.renewal", _program.METRICS: _program.METRICS}
"""What each imports where there is something to do."""


def python(*words, **over):
    """Another Python, which knows nothing of this collection or of its working directory."""
    done = subprocess.run(
        [sys.executable, "-I", "-B", *words], capture_output=True, text=True, check=False, timeout=60, **over
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def names(entry):
    with zipfile.ZipFile(io.BytesIO(_program.archive(entry))) as packed:
        return packed.namelist()


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_same_code_makes_the_same_bytes(entry):
    assert _program.archive(entry) == _program.archive(entry)


def test_an_archive_holds_this_packages_code_and_an_entry_that_starts_it():
    with zipfile.ZipFile(io.BytesIO(_program.archive(_program.RENEWAL))) as packed:
        found = packed.namelist()
        main = packed.read("__main__.py").decode()
        code = packed.read(f"{FOLDER}/_task/renewal.py").decode()
    assert f"from {PACKAGE}._task.due import main" in main
    assert code == read(os.path.join(os.path.dirname(_program.__file__), "_task", "renewal.py"))
    assert found == sorted(found)
    folders = PACKAGE.split(".")
    for depth in range(len(folders)):
        assert f"{'/'.join(folders[: depth + 1])}/__init__.py" in found
    assert all(name == "__main__.py" or name.startswith("ansible_collections/") for name in found)
    assert not any("/modules/" in name or "/tests/" in name for name in found)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_module_that_is_packed_is_imported_from_the_archive_alone(tmp_path, entry):
    program = write(str(tmp_path / "program.pyz"), _program.archive(entry))
    code = (
        f"import sys; sys.path.insert(0, {program!r}); import {PACKAGE}.{entry}, {PACKAGE}.{LATER[entry]}; "
        f"found = [m for n, m in sys.modules.items() if n.startswith('{PACKAGE}.') and m.__file__]; "
        f"print(len(found) > 30, all(m.__file__.startswith({program!r}) for m in found), "
        "[n for n in sys.modules if n == 'ansible' or n.startswith('ansible.')])"
    )
    assert python("-c", code) == (0, "True True []", "")


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_archive_holds_what_its_program_imports_and_nothing_else(tmp_path, entry):
    program = write(str(tmp_path / "program.pyz"), _program.archive(entry))
    code = (
        f"import sys; sys.path.insert(0, {program!r}); import {PACKAGE}.{entry}, {PACKAGE}.{LATER[entry]}; "
        f"print(*sorted(m.__file__[{len(program) + 1}:] for n, m in sys.modules.items() if n.startswith('{PACKAGE}')))"
    )
    code, said, _complaint = python("-c", code)
    assert code == 0
    assert [name for name in names(entry) if name.startswith(FOLDER)] == said.split()


def test_what_is_imported_by_a_function_is_packed_and_what_is_for_a_type_checker_is_not(monkeypatch):
    sources = {
        f"{PACKAGE}._first": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ._certificates import kinds\n"
        "def later():\n    try:\n        from . import _bytes\n    except ImportError:\n        pass\n",
    }
    source = _program._source
    spec = _program._spec
    monkeypatch.setattr(_program, "_source", lambda loader, name: sources.get(name) or source(loader, name))
    monkeypatch.setattr(_program, "_spec", lambda name: spec(f"{PACKAGE}._edge" if name in sources else name))
    found = [name.rpartition("/")[2] for name in names("_first") if name.startswith(FOLDER)]
    assert found == ["__init__.py", "_bytes.py", "_first.py"]


def test_the_program_runs_and_ends_in_one_sentence(tmp_path, issue):
    program = write(str(tmp_path / "renew.pyz"), _program.archive(_program.RENEWAL))
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


def test_a_program_that_is_a_file_is_packed_with_what_it_imports_of_this_package_alone(tmp_path):
    source = f"import os\nfrom {PACKAGE}._model import words\nprint(words.domain_name('x', 'A.example'), os.sep)\n"
    packed = _program.archive_of(source)
    program = write(str(tmp_path / "program.pyz"), packed)
    assert python(program) == (0, "a.example /", "")
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert opened.read("__main__.py").decode() == source
        assert f"{FOLDER}/_model/words.py" in opened.namelist()
        assert not [name for name in opened.namelist() if "/_postfix/" in name]


def test_the_program_that_asks_resolvers_needs_nothing_but_python(tmp_path):
    program = write(str(tmp_path / "validator.pyz"), _program.archive(_program.VALIDATOR))
    said = "the resolver 192.0.2.1 is not on loopback, so its answers could be forged on the way"
    assert python("-S", program, "--resolver", "192.0.2.1") == (1, said, "")
