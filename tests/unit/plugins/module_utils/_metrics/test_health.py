# SPDX-License-Identifier: GPL-3.0-or-later
"""When something is a complaint."""

from __future__ import annotations

import datetime
import time

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import health
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.renewals import Last
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.validator import Names


def complaints(made, monkeypatch, runs=True, listeners=None):
    monkeypatch.setattr(health, "master_runs", lambda instance: runs)
    monkeypatch.setattr(health, "check_listeners", lambda instance, runs: listeners or {"smtp/inet": runs})
    metrics = Metrics()
    return [check for check, _text in health.check_health(made, time.time(), metrics, Names())], metrics


def test_a_relay_that_runs_greets_and_has_a_valid_certificate_is_well(instance, issue, tmp_path, monkeypatch):
    (tmp_path / "chain.pem").write_bytes(issue().to_pem())
    found, _metrics = complaints(instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"}), monkeypatch)
    assert found == []


def test_an_expired_ca_is_told_and_no_complaint(instance, issue, tmp_path, monkeypatch):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=100)
    path = tmp_path / "postfix" / "smtp_hardening" / "trust" / "1.pem"
    path.parent.mkdir(parents=True)
    path.write_bytes(certificates_pem(issue(now=past).certificates))
    found, metrics = complaints(instance({"smtpd_tls_CAfile": str(path)}), monkeypatch)
    assert found == []
    assert [value for value in metrics.samples["certificate_days_left"].values() if value < 0]


def test_an_expired_certificate_is_a_complaint(instance, issue, tmp_path, monkeypatch):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=100)
    (tmp_path / "chain.pem").write_bytes(issue(now=past).to_pem())
    made = instance({"smtpd_tls_chain_files": f"{tmp_path}/chain.pem"})
    found, metrics = complaints(made, monkeypatch)
    assert found == ["certificates"]
    assert [value for value in metrics.samples["certificate_days_left"].values() if -11 < value < -9]


def test_a_postfix_that_does_not_run_is_a_complaint(instance, monkeypatch):
    assert complaints(instance(), monkeypatch, runs=False)[0] == ["master", "listeners"]


def test_a_listener_that_does_not_greet_is_a_complaint(instance, monkeypatch):
    found, metrics = complaints(instance(), monkeypatch, listeners={"smtp/inet": True, "587/inet": False})
    assert found == ["listeners"]
    assert metrics.samples["listener_up"] == {(("service", "smtp/inet"),): True, (("service", "587/inet"),): False}


def test_a_renewal_that_fails_is_a_complaint_until_it_is_in_place(instance, tmp_path, monkeypatch):
    folder = tmp_path / "postfix" / "smtp_hardening" / "renewal"
    folder.mkdir(parents=True)
    for problem, checks in (("it expired.", ["renewals"]), (None, [])):
        last = Last("ab", "2026-11-27T12:00:00Z", "2026-11-27T11:00:00Z", problem)
        (folder / "mx.last.json").write_bytes(last.to_json())
        found, metrics = complaints(instance(), monkeypatch)
        assert found == checks
        assert metrics.samples["certificate_renewal_failing"] == {(("certificate", "mx"),): bool(problem)}


def test_a_source_of_policies_that_does_not_answer_is_a_complaint(instance, monkeypatch):
    monkeypatch.setattr(health, "ask_sources", lambda postfix, state: {"socketmap:a": "no", "inline:b": None})
    found, metrics = complaints(instance(), monkeypatch)
    assert found == ["policy_sources"]
    up = {labels[0][1]: value for labels, value in metrics.samples["policy_source_up"].items()}
    assert up == {"socketmap:a": False, "inline:b": True}


def test_dane_that_has_lost_its_resolver_is_a_complaint(instance, monkeypatch):
    asked = []
    monkeypatch.setattr(health.resolver, "lost", lambda state, names, today: asked.append((names, today)) or "forged")
    assert complaints(instance(), monkeypatch)[0] == ["resolver"]
    assert asked[0][0] == Names() and asked[0][1] == datetime.datetime.now(datetime.timezone.utc).date()


def test_records_that_cannot_be_read_are_a_complaint_and_no_crash(instance, monkeypatch):
    def lost(*_arguments):
        raise HardeningError("records.json cannot be read.")

    monkeypatch.setattr(health.resolver, "lost", lost)
    assert complaints(instance(), monkeypatch)[0] == ["resolver"]
