# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.ports import (
    is_private,
    port_number,
    public_port,
    split_name,
)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("smtp", (None, "smtp")),
        ("10025", (None, "10025")),
        ("127.0.0.1:10025", ("127.0.0.1", "10025")),
        ("[::1]:25", ("::1", "25")),
    ],
)
def test_a_name_is_an_address_and_a_port(name, parts):
    assert split_name(name) == parts


def test_a_port_that_nobody_knows_is_a_sentence():
    assert port_number("submission") == 587
    with pytest.raises(PostfixError, match="nosuch is no port that this host knows; write its number"):
        port_number("nosuch")


@pytest.mark.parametrize(
    ("service", "port", "private"),
    [
        ("smtp/inet", 25, False),
        ("192.0.2.1:submission/inet", 587, False),
        ("[2001:db8::1]:2525/inet", 2525, False),
        ("127.0.0.1:10025/inet", None, True),
        ("localhost:10025/inet", None, True),
        ("smtpd/pass", None, False),
        ("nosuch/inet", None, False),
        ("inner/unix", None, True),
    ],
)
def test_the_network_reaches_a_port_that_is_not_this_hosts_alone(service, port, private):
    assert public_port(service) == port
    assert is_private(service) is private
