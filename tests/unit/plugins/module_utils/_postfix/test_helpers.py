# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import helpers


@pytest.mark.parametrize(
    ("services", "needed"),
    [
        ("smtp unix - - y - - smtp\n", ("tlsmgr/unix=tlsmgr unix - - y 1000? 1 tlsmgr",)),
        ("smtp unix - - n - - smtp\n", ("tlsmgr/unix=tlsmgr unix - - n 1000? 1 tlsmgr",)),
        ("smtp inet n - y - - smtpd\n", ("tlsmgr/unix=tlsmgr unix - - - 1000? 1 tlsmgr",)),
        ("tlsmgr unix - - y 1000? 1 tlsmgr\n", ()),
    ],
)
def test_tls_needs_a_tlsmgr_chrooted_as_the_client_is(node, services, needed):
    node.services = services
    assert helpers.for_tls(node.state) == needed


@pytest.mark.parametrize(
    ("services", "needed"),
    [
        ("smtp unix - - y - - smtp\n", ("tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy",)),
        ("tlsproxy unix - - y - 0 tlsproxy\n", ()),
    ],
)
def test_reuse_needs_a_tlsproxy(node, services, needed):
    node.services = services
    assert helpers.for_reuse(node.state) == needed


@pytest.mark.parametrize("reuse", ["smtp_tls_connection_reuse = yes\n", "lmtp_tls_connection_reuse = Yes\n"])
def test_what_reuse_needs_is_not_taken_out(node, reuse):
    node.services += "lmtp unix - - y - - lmtp\ntlsproxy unix - - y - 0 tlsproxy\n"
    helpers.check_removal(node.state, ["tlsproxy/unix"])
    node.append(reuse)
    helpers.check_removal(node.state, ["tlsmgr/unix"])
    with pytest.raises(InvalidValue, match="would let all mail over TLS wait"):
        helpers.check_removal(node.state, ["tlsproxy/unix"])
