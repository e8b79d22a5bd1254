# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import signal

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import reloading
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

SUBMISSION = "submission inet n - y - - smtpd\n"


@pytest.fixture
def master(node, monkeypatch):
    """A master with processes of two services, which end when they are told to; what was sent to them."""
    write(f"{node.queue_dir}/pid/master.pid", "4711\n")
    processes, sent = {11: "smtp/inet", 12: "submission/inet", 13: "submission/inet"}, []

    def kill(pid, number):
        sent.append((pid, number))
        if processes.pop(pid, None) is None:
            raise ProcessLookupError

    monkeypatch.setattr(reloading, "QUIET", 0.01)
    monkeypatch.setattr(reloading, "may_signal", lambda pid: False)
    monkeypatch.setattr(reloading, "serving", lambda pid: list(processes.items()))
    monkeypatch.setattr(reloading.os, "kill", kill)
    return sent


def reloads(node):
    return node.asked("postfix").count("reload")


@pytest.mark.parametrize("way", ["taken out", "switched off"])
def test_processes_of_a_service_that_is_gone_are_ended_where_the_master_cannot(node, master, way):
    if way == "switched off":
        node.services += SUBMISSION
        node.append("master_service_disable = submission.inet\n")
    reloading.reload(node.postfix, node.queue_dir)
    assert reloads(node) == 1
    assert sorted(master) == [(12, signal.SIGTERM), (13, signal.SIGTERM)]


def test_processes_of_services_that_stay_are_left_alone(node, master):
    node.services += SUBMISSION
    reloading.reload(node.postfix, node.queue_dir)
    assert (reloads(node), master) == (1, [])


def test_a_master_that_may_ends_its_processes_itself(node, master, monkeypatch):
    monkeypatch.setattr(reloading, "may_signal", lambda pid: True)
    reloading.reload(node.postfix, node.queue_dir)
    assert (reloads(node), master) == (1, [])


def test_processes_that_do_not_end_are_not_waited_for_without_end(node, master, monkeypatch):
    monkeypatch.setattr(reloading, "PATIENCE", 0.2)
    monkeypatch.setattr(reloading.os, "kill", lambda pid, number: None)
    reloading.reload(node.postfix, node.queue_dir)
    assert reloads(node) == 1
