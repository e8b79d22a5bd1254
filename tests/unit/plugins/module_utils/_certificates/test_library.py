# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins import module_utils, modules
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library

EVERYTHING = sorted(
    found.name
    for package in (module_utils, modules)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.ispkg
)
IMPORTS = """
import importlib, json, sys
path, missing, names = json.loads(sys.argv[1])
sys.path[:] = path
sys.modules.update(dict.fromkeys(missing))
for name in names:
    importlib.import_module(name)
print(json.dumps(importlib.import_module(names[0]).MISSING))
"""


def missing_after(imported, *missing):
    """What a Python without these libraries tells, once it has imported everything that it is asked for."""
    words = json.dumps([sys.path, missing, [library.__name__, *imported]])
    done = subprocess.run([sys.executable, "-B", "-c", IMPORTS, words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_where_the_library_is_there_nothing_is_missing():
    assert library.MISSING is None


@pytest.mark.parametrize("imported", [[], EVERYTHING], ids=["alone", "everything that runs on a node"])
def test_without_the_library_all_code_still_loads_and_what_went_wrong_is_kept_to_be_told(imported):
    assert "cryptography" in missing_after(imported, "cryptography").splitlines()[-1]


def test_everything_that_runs_on_a_node_was_looked_at():
    assert len(EVERYTHING) > 50
