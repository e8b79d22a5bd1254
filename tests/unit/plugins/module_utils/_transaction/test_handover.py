# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import handover

REUSE = {"smtp_tls_connection_reuse": "yes"}


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        ({}, {"smtp_tls_chain_files": "/b"}, False),
        ({"smtp_tls_connection_reuse": "no"}, {"smtp_tls_chain_files": "/b"}, False),
        (REUSE, REUSE, False),
        (REUSE, {**REUSE, "smtpd_tls_chain_files": "/b"}, False),
        (REUSE, {**REUSE, "smtp_tls_security_level": "secure"}, False),
        (REUSE, {**REUSE, "smtp_tls_chain_files": "/b"}, True),
        ({**REUSE, "smtp_tls_chain_files": "/a"}, {**REUSE, "smtp_tls_chain_files": "/b"}, True),
        ({**REUSE, "smtp_tls_chain_files": "/a"}, REUSE, True),
        ({**REUSE, "smtp_tls_CAfile": "/a"}, {**REUSE, "smtp_tls_CAfile": "/b"}, True),
        ({**REUSE, "smtp_tls_eckey_file": "/a"}, {"smtp_tls_eckey_file": "/b"}, True),
    ],
)
def test_deliveries_end_first_where_they_are_reused_and_their_files_change(before, after, needed):
    assert handover.is_needed(before, after) is needed


@pytest.mark.parametrize(
    "name", ["chain_files", "CAfile", "CApath", "cert_file", "key_file", "eccert_file", "eckey_file"]
)
def test_deliveries_end_first_whichever_of_their_files_changes(name):
    assert handover.is_needed({**REUSE, f"smtp_tls_{name}": "/a"}, {**REUSE, f"smtp_tls_{name}": "/b"})


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([[]], 0),
        ([[8, 9]], 0),
        ([[7], [7, 8], [8]], 2),
        ([[7]] * 1000, 601),
    ],
)
def test_the_change_waits_for_daemons_that_were_there_before_and_for_no_others(monkeypatch, answers, pauses):
    seen, clock = iter(answers), [0.0]
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(handover, "daemons", lambda master, name: next(seen))
    monkeypatch.setattr(handover.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(handover.time, "sleep", sleep)
    handover.wait_for_end([7], 42, "smtp")
    assert abs(len(slept) - pauses) <= (pauses > 100)
