# SPDX-License-Identifier: GPL-3.0-or-later
"""Postfix as it is configured, and the names that it logs under."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import instance as postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.digest import policy_digest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    OVERRIDES,
    SERVICES,
)


@pytest.fixture
def answering(tmp_path, monkeypatch):
    """An instance of which postconf says what it is told to say."""

    def answer(answers):
        for name in ("main.cf", "master.cf"):
            write(f"{tmp_path}/postfix/{name}", "")
        said = {"-dx": "", "-d": "", **answers}
        monkeypatch.setattr(postfix._command, "run", lambda argv, stdin, seconds: Completed(0, said[argv[-1]], ""))
        return postfix.read_instance(f"{tmp_path}/postfix")

    return answer


def test_entries_that_are_disabled_are_no_listeners(answering):
    answers = {
        "-M": "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd -o syslog_name=postfix/submission\n",
        "-Px": "submission/inet/syslog_name = postfix/submission\n",
        "-x": "master_service_disable = submission.inet\nsyslog_name = postfix\nmail_version = 3.10.13\n",
        "-n": "",
    }
    assert [service.key for service in postfix.enabled(answering(answers))] == ["smtp/inet"]


def test_octets_that_are_no_text_are_told_and_digested(tmp_path, monkeypatch):
    answers = {
        "-M": b"smtp inet n - y - - smtpd\n",
        "-Px": b"",
        "-dx": b"",
        "-d": b"",
        "-x": b"syslog_name = postfix\nmyhostname = mx\nmail_version = 3.10.13\nsmtpd_banner = B\xfcro\n",
        "-n": b"smtpd_banner = B\xfcro\n",
    }
    for option, said in answers.items():
        write(f"{tmp_path}/answers/{option}", said)
    postconf = write(f"{tmp_path}/bin/postconf", f'#!/bin/sh\ncat "{tmp_path}/answers/$3"\n')
    os.chmod(postconf, 0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    for name in ("main.cf", "master.cf"):
        write(f"{tmp_path}/postfix/{name}", "")
    found = []
    for banner in (b"B\xfcro", b"B\xfdro"):
        write(f"{tmp_path}/answers/-n", b"smtpd_banner = " + banner + b"\n")
        found.append(postfix.read_instance(f"{tmp_path}/postfix"))
    assert policy_digest(found[0]) != policy_digest(found[1])
    metrics = Metrics()
    metrics.add("listener_up", 1, service="B\udcfcro/inet")
    assert r'service="B\\udcfcro/inet"' in metrics.render()


def test_a_command_is_not_waited_for_as_long_as_a_module_waits(answering, monkeypatch):
    asked = []

    def run(argv, stdin, seconds):
        asked.append(seconds)
        return Completed(1, "", "no")

    answers = {"-M": "", "-Px": "", "-n": "", "-x": "mail_version = 3.10.13\n"}
    made = answering(answers)
    monkeypatch.setattr(postfix._command, "run", run)
    with pytest.raises(HardeningError):
        postfix.read_instance(made.config_dir)
    assert asked == [20.0]


def test_what_a_service_overrides_wins_over_main_cf(instance):
    made = instance({"smtpd_banner": "a"}, ["smtpd_banner = $a"], SERVICES, [*OVERRIDES, "smtps/inet/smtpd_banner = b"])
    smtp, smtps = (made.service(name, "inet") for name in ("smtp", "smtps"))
    assert [made.found(one)["smtpd_banner"] for one in (smtp, smtps)] == ["a", "b"]


def test_who_speaks_is_told_without_the_instances_own_name(instance):
    made = instance(master=SERVICES, overrides=OVERRIDES)
    assert postfix.label_in(made, "postfix/submission/smtpd") == "submission/smtpd"
    assert postfix.label_in(made, "other/smtpd") == "other/smtpd"
    assert postfix.label_of(made, made.service("smtps", "inet")) == "smtps/smtpd"
    assert {"postfix/smtpd", "postfix/tlsproxy", "postfix/strict/smtpd"} <= set(postfix.tags(made))
