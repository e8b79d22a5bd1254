# SPDX-License-Identifier: GPL-3.0-or-later
"""Witnesses of what becomes of a relay under load and abuse."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "abuse"))
from witnesses import Relay


@pytest.fixture(scope="module")
def besieged():
    relay = Relay()
    relay.serves_others()
    yield relay
    relay.end()


@pytest.fixture
def relay(besieged):
    """node1. After each test it serves others, and has stored nothing that the test did not ask for."""
    yield besieged
    besieged.serves_others()
    assert besieged.stored() == []
