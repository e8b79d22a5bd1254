# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.posture import read_posture
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.ways import OTHER, read_ways
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import TODAY
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    said,
    weaker,
)

BACKUP = "[backup.example]"


def opportunistic(level=None, **parameters):
    """A client at may, and a fallback relay with a level of its own."""
    policy = {} if level is None else {"smtp_tls_policy_maps": f"inline:{{{{ {BACKUP} = {level} }}}}"}
    return {"smtp_tls_security_level": "may", "smtp_fallback_relay": BACKUP, **policy, **parameters}


def where_tls_fails(node, parameters):
    way = read_ways(configured(node, parameters), ())[OTHER]
    return said(way.protections).get("where_tls_fails")


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"smtp_tls_security_level": "may"}, "plaintext"),
        ({"smtp_tls_security_level": "may", "smtp_tls_protocols": "TLSv1.9"}, "plaintext"),
        ({"smtp_tls_security_level": "encrypt"}, "kept"),
        (opportunistic(), "may"),
        (opportunistic("secure"), "secure"),
        (opportunistic("secure", smtp_tls_protocols="TLSv1.9"), "secure"),
        (opportunistic("none"), None),
        (opportunistic("bogus"), "plaintext"),
        (opportunistic("secure", smtp_fallback_relay="[127.0.0.1]:10025"), "kept"),
        (opportunistic("secure", smtp_fallback_relay=f"{BACKUP}, [other.example]"), "secure"),
        (opportunistic("secure", smtp_fallback_relay=f"[other.example], {BACKUP}"), "may"),
        (opportunistic("secure", smtp_fallback_relay="", relayhost=f"[hub.example], {BACKUP}"), "secure"),
    ],
)
def test_mail_with_which_tls_fails_at_may_goes_to_the_next_hop_before_plaintext(node, parameters, found):
    assert where_tls_fails(node, parameters) == found


def test_a_fallback_relay_with_which_tls_cannot_succeed_either_takes_no_mail(node):
    assert where_tls_fails(node, opportunistic(smtp_tls_protocols="TLSv1.9")) == "plaintext"
    assert where_tls_fails(node, opportunistic("encrypt", smtp_tls_mandatory_ciphers="bogus")) == "plaintext"


def test_a_fallback_relay_at_none_is_told_by_the_level_that_is_left(node):
    assert read_posture(configured(node, opportunistic("none")), TODAY).ways[OTHER]["level"] == "none"


@pytest.mark.parametrize(
    ("level", "parameters", "fallen"),
    [
        ("secure", {"smtp_fallback_relay": ""}, ["other mail.where_tls_fails from secure to plaintext"]),
        (None, {"smtp_fallback_relay": ""}, ["other mail.where_tls_fails from may to plaintext"]),
        ("secure", {"smtp_fallback_relay": "[other.example]"}, ["other mail.where_tls_fails from secure to may"]),
        ("secure", {"smtp_fallback_relay": "[127.0.0.1]:25"}, []),
        ("secure", {"smtp_fallback_relay": "", "smtp_tls_security_level": "encrypt"}, []),
        ("encrypt", {"smtp_fallback_relay": f"{BACKUP}, [other.example]"}, []),
    ],
)
def test_a_fallback_relay_at_may_does_not_go_in_silence(node, level, parameters, fallen):
    configured(node, opportunistic(level))
    assert weaker(node, parameters) == fallen


def test_of_a_level_that_falls_what_becomes_of_mail_where_tls_fails_is_not_told_as_well(node):
    configured(node, {"smtp_tls_security_level": "encrypt"})
    assert weaker(node, {"smtp_tls_security_level": "may"}) == ["client.level from encrypt to may"]
