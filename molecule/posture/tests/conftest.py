# SPDX-License-Identifier: GPL-3.0-or-later
"""All configurations of the scenario are tried on the nodes, which begin with the first test."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from on_nodes import Run
from pairs import PAIRS
from table import MAIL, SERVERS
from versions import why_not


@pytest.fixture(scope="session")
def tried(request):
    """The configurations of the chosen tests, under way."""
    items = [item for item in request.session.items if "tried" in item.fixturenames]
    chosen = {item.callspec.params["title"] if hasattr(item, "callspec") else None for item in items}
    jobs = {**SERVERS, **MAIL, **PAIRS}
    running = Run({name: job for name, job in jobs.items() if {name, None} & chosen and not why_not(job)})
    yield running
    running.end()
