# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean harm get nothing in that a client must not get in, and nothing out; another is served meanwhile.

They come from outside the relay's networks. What the relay answers is asserted on the wire, what it keeps on its disk.
The witnesses of both begin once for all tests.
"""

import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from witnesses import Relay


@pytest.fixture(scope="session")
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


@pytest.fixture
def mark():
    return uuid.uuid4().hex
