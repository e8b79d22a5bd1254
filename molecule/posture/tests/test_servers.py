# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever sends mail to a server meets what the posture says of it."""

import expected
import pytest
from table import SERVERS
from versions import why_not

testinfra_hosts = ["local://"]


@pytest.mark.parametrize("title", SERVERS)
def test_a_server_demands_of_clients_what_the_posture_says(tried, title):
    if reason := why_not(SERVERS[title]):
        pytest.skip(reason)
    found = tried.answer(title)
    values, wire = found["servers"][found["service"]], found["wire"]
    assert wire["offers TLS"] == (values["level"] != "none"), values
    assert wire["takes plaintext"] == (values["level"] != "encrypt"), values
    if values["level"] != "none" and not SERVERS[title].get("wrapped"):
        least = values["minimum_protocol"]
        taken = expected.PROTOCOLS[expected.PROTOCOLS.index(least) :] if least else ()
        assert wire["protocols"] == [name for name in taken if name != "TLSv1"], values
