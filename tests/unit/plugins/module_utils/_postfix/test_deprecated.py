# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel, ServerLevel
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import deprecated

SERVER, CLIENT = "smtpd_tls_security_level", "smtp_tls_security_level"
TABLE = [
    # parameter, value, levels that it contradicts, levels beside which it is only reported, successor
    ("smtpd_use_tls", "yes", "none", "may encrypt", SERVER),
    ("smtpd_use_tls", "no", "may encrypt", "none", SERVER),
    ("smtpd_enforce_tls", "yes", "none may", "encrypt", SERVER),
    ("smtpd_enforce_tls", "no", "encrypt", "none may", SERVER),
    ("smtpd_tls_eecdh_grade", "none", "may encrypt", "none", "tls_eecdh_auto_curves"),
    ("smtpd_tls_eecdh_grade", "strong", "may encrypt", "none", "tls_eecdh_auto_curves"),
    ("smtpd_tls_eecdh_grade", "ultra", "may encrypt", "none", "tls_eecdh_auto_curves"),
    ("smtpd_tls_eecdh_grade", "auto", "", "none may encrypt", "tls_eecdh_auto_curves"),
    ("smtpd_tls_dh1024_param_file", "/dh.pem", "", "none may encrypt", "Postfix's own choice"),
    ("smtpd_tls_dh512_param_file", "/dh.pem", "", "none may encrypt", "Postfix's own choice"),
    ("smtp_use_tls", "yes", "none", "may encrypt dane dane-only fingerprint verify secure", CLIENT),
    ("smtp_use_tls", "no", "may encrypt dane dane-only fingerprint verify secure", "none", CLIENT),
    ("smtp_enforce_tls", "yes", "none may", "encrypt dane dane-only fingerprint verify secure", CLIENT),
    ("smtp_enforce_tls", "no", "encrypt dane dane-only fingerprint verify secure", "none may", CLIENT),
    ("smtp_tls_enforce_peername", "no", "verify secure", "none may encrypt dane dane-only fingerprint", CLIENT),
    ("smtp_tls_enforce_peername", "yes", "", "none may encrypt dane dane-only fingerprint verify secure", CLIENT),
    (
        "smtp_tls_per_site",
        "hash:/etc/postfix/tls_per_site",
        "encrypt dane dane-only fingerprint verify secure",
        "none may",
        "smtp_tls_policy_maps",
    ),
]
CASES = [
    (name, value, level, contradicted, successor)
    for name, value, against, beside, successor in TABLE
    for levels, contradicted in ((against, True), (beside, False))
    for level in levels.split()
]


def sides(name, level):
    return (ServerLevel(level), None) if name.startswith("smtpd_") else (None, ClientLevel(level))


@pytest.mark.parametrize(("name", "value", "level", "contradicted", "successor"), CASES)
def test_what_contradicts_a_level_goes_and_the_rest_is_reported(node, name, *, value, level, contradicted, successor):
    node.append(f"{name} = {value}\n")
    state = node.state
    assert deprecated.removals(state, *sides(name, level)) == ({name: None} if contradicted else {})
    report = (
        f"main.cf: {name} = {value} is deprecated and contradicts nothing here; "
        f"take it out when you can, in favour of {successor}."
    )
    assert list(deprecated.reports(state, *sides(name, level))) == ([] if contradicted else [report])


@pytest.mark.parametrize(
    ("main_cf", "server", "client", "gone"),
    [
        ("smtpd_use_tls = no\nsmtp_use_tls = no\n", "may", None, ["smtpd_use_tls"]),
        ("smtpd_use_tls = no\nsmtp_use_tls = no\n", None, "may", ["smtp_use_tls"]),
        ("smtpd_use_tls = no\nsmtp_use_tls = no\n", "may", "may", ["smtpd_use_tls", "smtp_use_tls"]),
        ("smtpd_use_tls = no\nsmtp_use_tls = no\n", None, None, []),
        ("relayhost = [x]\n", "may", "may", []),
    ],
)
def test_only_the_side_that_is_asked_is_cleaned(node, main_cf, server, client, gone):
    node.write(main_cf)
    levels = (server and ServerLevel(server), client and ClientLevel(client))
    assert deprecated.removals(node.state, *levels) == dict.fromkeys(gone)


def test_a_value_that_main_cf_borrows_is_judged_by_what_it_is(node):
    node.append("smtpd_use_tls = $tls_here\n")
    state = node.state
    borrowed = replace(state, effective={**state.effective, "smtpd_use_tls": "yes"})
    assert deprecated.removals(borrowed, ServerLevel.MAY, None) == {}
    assert deprecated.removals(borrowed, ServerLevel.NONE, None) == {"smtpd_use_tls": None}
