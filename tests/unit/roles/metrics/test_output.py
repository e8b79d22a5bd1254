# SPDX-License-Identifier: GPL-3.0-or-later
"""How it is told: a file for Prometheus and an exit status."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import parse


def test_a_file_is_as_prometheus_wants_it(program):
    metrics = program.Metrics()
    metrics.add("certificate_days_left", 1.23456, subject='a "b" \\ c\nd', use="server")
    metrics.add("certificate_days_left", -3, subject="mx1", use="server")
    metrics.add("expired_messages_total", 12345678901234)
    metrics.add("healthy", True)
    parsed = parse(metrics.render())
    assert parsed["smtp_hardening_healthy"] == {("smtp_hardening_healthy", ()): 1}
    subject = r"a \"b\" \\ c\nd"
    labels = (("subject", subject), ("use", "server"))
    assert parsed["smtp_hardening_certificate_days_left"]["smtp_hardening_certificate_days_left", labels] == 1.235
    assert list(parsed["smtp_hardening_expired_messages_total"].values()) == [12345678901234]


@pytest.fixture
def run(program, monkeypatch, tmp_path):
    """Run the program for a configuration directory: its exit status, and what it tells."""

    def start(config_dir):
        output = tmp_path / "out" / "smtp.prom"
        output.parent.mkdir(exist_ok=True)
        options = ["--config-dir", config_dir, "--output", str(output), "--state", str(tmp_path / "state.json")]
        monkeypatch.setattr("sys.argv", ["smtp-metrics", *options])
        code = program.main()
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


def test_a_whole_run_tells_everything_and_that_all_is_well(program, instance, shown, run, monkeypatch):
    effective = {"maillog_file": f"{shown}.log", "smtpd_tls_chain_files": shown}
    monkeypatch.setattr(program, "read_instance", lambda config_dir: instance(effective, ["myhostname = mx1"]))
    monkeypatch.setattr(program, "master_runs", lambda made: True)
    monkeypatch.setattr(program, "greets", lambda service, made: True)
    code, parsed = run("/etc/postfix/")
    assert code == 0
    assert value(parsed, "healthy") == 1
    assert value(parsed, "listener_up", service="smtp/inet") == 1
    assert value(parsed, "log_readable") == 1
    unseen = {"would_refuse_in_total", "refused_in_total", "local_recipients_total"}  # until there is one
    assert {f"smtp_hardening_{name}" for name in set(program.FAMILIES) - unseen} == set(parsed)


def test_a_postfix_that_is_not_there_is_unhealthy_and_the_file_says_so(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, parsed = run("/etc/postfix")
    assert code == 1
    assert value(parsed, "healthy") == 0
    assert value(parsed, "check_healthy", check="configuration") == 0
    assert "cannot be read" in capsys.readouterr().err


def test_a_file_is_whole_or_the_old_one(program, tmp_path, monkeypatch):
    path = tmp_path / "x.prom"
    program.write(str(path), "old\n", 0o644)

    def fail(*_names, **_folders):
        raise OSError("no space")

    monkeypatch.setattr(program.os, "replace", fail)
    with pytest.raises(OSError):
        program.write(str(path), "new\n", 0o644)
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["x.prom"]
