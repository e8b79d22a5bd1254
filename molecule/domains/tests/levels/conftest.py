# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay that sends to the peers is set up once for all tests of this folder."""

import peers
import pytest
import sender as relay


@pytest.fixture(scope="package")
def sender():
    """node1 with a record for each domain of the peers, which run; afterwards all as it was."""
    fleet = peers.serve()
    try:
        relay.set_up(fleet)
        yield fleet
    finally:
        relay.bring_back()
        peers.stop()
