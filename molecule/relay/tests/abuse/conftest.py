# SPDX-License-Identifier: GPL-3.0-or-later
"""Witnesses of what becomes of a relay under load and abuse."""

import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "abuse"))
from witnesses import Relay


@pytest.fixture(scope="package")
def besieged():
    """Ends with the last test of this folder: those of other files restart Postfix and write to the same mailbox."""
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


@pytest.fixture
def mark():
    return uuid.uuid4().hex
