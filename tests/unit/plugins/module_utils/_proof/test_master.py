# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import master, prove
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.master import gone_services, may_signal

SUBMISSION = "submission inet n - y - - smtpd\n"


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ("CapPrm:\t0000000000000000\nCapEff:\t00000000a80425fb\nCapBnd:\t0000000000000000\n", True),
        ("CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425db\nCapBnd:\t00000000a80425fb\n", False),
        ("CapEff:\t0000000000000000\n", False),
        ("Name:\tmaster\n", True),  # a kernel that does not say
    ],
)
def test_the_master_may_end_its_processes_where_its_effective_capabilities_hold_cap_kill(monkeypatch, status, may):
    monkeypatch.setattr(master, "open", lambda path, **options: io.StringIO(status), raising=False)
    assert may_signal(4711) is may


def test_nothing_is_known_of_a_master_that_does_not_run():
    assert may_signal(0)


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ((SUBMISSION, ""), ("", ""), ["submission/inet"]),
        ((SUBMISSION, ""), (SUBMISSION, "master_service_disable = submission.inet\n"), ["submission/inet"]),
        ((SUBMISSION, "master_service_disable = submission.inet\n"), ("", ""), []),
        (("", ""), (SUBMISSION, ""), []),
        ((SUBMISSION, ""), (SUBMISSION.replace("smtpd", "smtpd -v"), ""), []),
        (("own unix - n n - - pipe\n", ""), ("", ""), ["own/unix"]),
    ],
)
def test_a_service_goes_when_it_is_taken_out_or_switched_off(node, before, after, gone):
    states, services = [], node.services
    for extra, settings in (before, after):
        node.services = services + extra
        node.write(f"compatibility_level = 3.9\n{settings}")
        states.append(node.state)
    assert gone_services(*states) == gone


@pytest.mark.parametrize("may", [True, False])
def test_a_change_that_takes_a_service_away_from_a_master_that_may_not_end_it_is_refused(node, monkeypatch, may):
    monkeypatch.setattr(prove, "may_signal", lambda pid: may)
    monkeypatch.setattr(prove, "taken", lambda staged, pid: [])
    staged = node.state
    node.services += SUBMISSION
    if may:
        prove.check_master(node.postfix, staged)
        return
    with pytest.raises(
        ProofFailed, match=r"would hang at the reload, until submission/inet has no process .* CAP_KILL"
    ):
        prove.check_master(node.postfix, staged)
