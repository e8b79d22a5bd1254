# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that roles bring to nodes, each a file of its own."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.fixture(scope="module")
def program(request):
    """The program that the test module names as SCRIPT."""
    script = request.module.SCRIPT
    specification = importlib.util.spec_from_file_location(script.stem.replace("-", "_"), script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
