# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a password may be read on its way."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.passwords import (
    UNVERIFIED,
    WITHOUT_TLS,
    shown_by_client,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import weaker

LOGGED_IN = {"smtp_sasl_auth_enable": "Yes", "smtp_sasl_password_maps": "hash:/etc/postfix/passwords"}
NOWHERE, ANYWHERE = set(), {WITHOUT_TLS, UNVERIFIED}


@pytest.mark.parametrize(
    ("level", "without_tls", "with_tls", "shown"),
    [
        ("none", "noplaintext, noanonymous", "noplaintext, noanonymous", NOWHERE),
        ("none", "noanonymous", "noanonymous", ANYWHERE),
        ("may", "noanonymous", "noanonymous", ANYWHERE),
        ("may", "noanonymous", "noplaintext", ANYWHERE),
        ("may", "NoPlaintext", "noanonymous", {UNVERIFIED}),
        ("dane", "noanonymous", "noplaintext", ANYWHERE),
        ("dane", "noplaintext", "noanonymous", {UNVERIFIED}),
        ("encrypt", "noanonymous", "noanonymous", {UNVERIFIED}),
        ("encrypt", "noanonymous", "noplaintext", NOWHERE),
        ("verify", "noanonymous", "noanonymous", NOWHERE),
        ("dane-only", "", "", NOWHERE),
        ("fingerprint", "", "", NOWHERE),
        ("secure", "", "", NOWHERE),
    ],
)
def test_a_password_is_read_where_mechanism_and_level_let_it(level, without_tls, with_tls, shown):
    options = {"smtp_sasl_security_options": without_tls, "smtp_sasl_tls_security_options": with_tls}
    assert shown_by_client({**LOGGED_IN, **options}, "smtp", ClientLevel(level)).items == shown


@pytest.mark.parametrize("missing", list(LOGGED_IN))
def test_who_does_not_log_in_shows_no_password(missing):
    found = {**LOGGED_IN, missing: "", "smtp_sasl_security_options": ""}
    assert not shown_by_client(found, "smtp", ClientLevel.NONE).items


def test_a_password_that_may_be_read_from_now_on_is_told(node):
    node.append(
        "".join(f"{name} = {value}\n" for name, value in {**LOGGED_IN, "smtp_tls_security_level": "may"}.items())
    )
    node.append("smtp_sasl_security_options = noplaintext\nsmtp_sasl_tls_security_options = noplaintext\n")
    lower = {"smtp_sasl_security_options": "noanonymous", "smtp_sasl_tls_security_options": "noanonymous"}
    assert weaker(node, lower) == [f"client.passwords from nothing to {WITHOUT_TLS}, {UNVERIFIED}"]
