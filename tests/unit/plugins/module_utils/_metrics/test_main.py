# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole run: a file for Prometheus and an exit status."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import health, listeners
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import main as metrics_main
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import FAMILIES
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import check, parse


@pytest.fixture
def run(tmp_path):
    """Run the program for a configuration directory: its exit status, and what it tells."""

    def start(config_dir):
        output = tmp_path / "out" / "smtp.prom"
        output.parent.mkdir(exist_ok=True)
        options = ["--config-dir", config_dir, "--output", str(output), "--state", str(tmp_path / "state.json")]
        code = metrics_main.main(["smtp-metrics", *options])
        assert os.listdir(output.parent) == ["smtp.prom"]
        assert output.stat().st_mode & 0o777 == 0o644
        return code, parse(output.read_text())

    return start


def value(parsed, name, **labels):
    return parsed[f"smtp_hardening_{name}"][f"smtp_hardening_{name}", tuple(labels.items())]


@pytest.fixture
def shown(issue, tmp_path):
    """A certificate to show, in a file."""
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    return f"{tmp_path}/chain.pem"


def test_a_whole_run_tells_everything_and_that_all_is_well(instance, shown, run, monkeypatch):
    effective = {"maillog_file": f"{shown}.log", "smtpd_tls_chain_files": shown}
    monkeypatch.setattr(metrics_main, "read_instance", lambda config_dir: instance(effective, ["myhostname = mx1"]))
    monkeypatch.setattr(health, "master_runs", lambda state: True)
    monkeypatch.setattr(listeners, "greets", lambda state, service, answers_suffice: True)
    monkeypatch.setattr(health, "ask_sources", lambda postfix, state: {"socketmap:x": None})
    code, parsed = run("/etc/postfix/")
    assert code == 0
    assert value(parsed, "healthy") == 1
    assert value(parsed, "listener_up", service="smtp/inet") == 1
    assert value(parsed, "log_readable") == 1
    unseen = {
        "would_refuse_in_total",
        "refused_in_total",
        "local_recipients_total",
        "certificate_renewal_failing",
    }  # until there is one
    assert {f"smtp_hardening_{name}" for name in set(FAMILIES) - unseen} == set(parsed)


def test_a_postfix_that_is_not_there_is_unhealthy_and_the_file_says_so(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, parsed = run("/etc/postfix")
    assert code == 1
    assert value(parsed, "healthy") == 0
    assert value(parsed, "check_healthy", check="configuration") == 0
    assert "cannot be read" in capsys.readouterr().err


def test_names_to_prove_resolvers_with_may_be_given(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(metrics_main, "collect", lambda *arguments: asked.append(arguments[-1]) or ())
    for words in ([], ["--signed", "test", "--bogus", "spoiled.test"]):
        metrics_main.main(["smtp-metrics", "--output", f"{tmp_path}/x.prom", "--state", f"{tmp_path}/s", *words])
    assert asked == [(".", "dnssec-failed.org"), ("test", "spoiled.test")]


def test_what_nobody_foresaw_is_a_complaint_without_what_it_quotes(tmp_path, monkeypatch, capsys):
    def fail(*_arguments):
        raise TypeError("-----BEGIN PRIVATE KEY-----")

    monkeypatch.setattr(metrics_main, "read_instance", fail)
    assert metrics_main.main(["smtp-metrics", "--output", f"{tmp_path}/x.prom", "--state", f"{tmp_path}/s"]) == 1
    assert check(parse((tmp_path / "x.prom").read_text()), "run") == 0
    said = capsys.readouterr().err
    assert said.startswith("not everything is told: TypeError in test_main.py, line ") and "PRIVATE" not in said


def test_samples_of_another_instance_say_whose_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    told = {}
    for folder in ("/etc/postfix", "/etc/postfix-out"):
        metrics_main.main(["x", "--config-dir", folder, "--output", f"{tmp_path}/x", "--state", f"{tmp_path}/s"])
        parsed = parse((tmp_path / "x").read_text())
        told[folder] = {labels for family in parsed.values() for _name, labels in family}
    assert all(("config_dir", "/etc/postfix-out") in labels for labels in told["/etc/postfix-out"])
    assert not any("config_dir" in dict(labels) for labels in told["/etc/postfix"])
