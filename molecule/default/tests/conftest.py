# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures of all scenarios."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "shared"))

from conftest_shared import *  # noqa: F403
