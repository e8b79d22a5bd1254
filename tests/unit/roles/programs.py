# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that roles bring to nodes are files of their own, with names that cannot be imported."""

from __future__ import annotations

import importlib.util
import pathlib

RELAY = pathlib.Path(__file__).parents[3] / "roles" / "relay" / "files"


def load(script):
    specification = importlib.util.spec_from_file_location(script.stem.replace("-", "_"), script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
