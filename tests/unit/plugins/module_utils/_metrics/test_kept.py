# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept between runs."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import kept as kept_module
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.kept import read_kept, tell_traffic
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics


def test_counters_go_on_from_run_to_run_and_begin_anew_for_another_instance(instance, tmp_path):
    log, state = tmp_path / "mail.log", tmp_path / "state.json"
    log.touch()
    made = instance({"maillog_file": str(log)})

    def received(one):
        metrics = Metrics()
        tell_traffic(one, str(state), metrics)
        return metrics.samples["messages_received_total"][("service", "smtpd"), ("tls", "no")]

    line = "Nov 24 22:47:40 mx1 postfix/smtpd[7]: disconnect from x ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
    assert received(made) == 0
    log.write_text(line)
    assert received(made) == 1
    log.write_text(line * 2)
    assert received(made) == 2
    assert state.stat().st_mode & 0o777 == 0o600
    assert received(replace(made, config_dir="/etc/postfix-out")) == 0
    state.write_text("{broken")
    assert received(made) == 0


def test_a_log_that_cannot_be_read_leaves_counters_as_they_were(instance, tmp_path):
    metrics = Metrics()
    tell_traffic(instance({"maillog_file": str(tmp_path)}), str(tmp_path / "state.json"), metrics)
    assert metrics.samples["log_readable"] == {(): 0}
    assert not (tmp_path / "state.json").exists()


def test_a_state_that_somebody_broke_begins_anew(tmp_path):
    for content in ("", "[]", "7", '{"config_dir": 1}', "\udcff"):
        (tmp_path / "state").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert read_kept(f"{tmp_path}/state", "/etc/postfix")["position"] is None


def test_where_postfix_logs_to_its_standard_output_the_journal_is_read(instance, tmp_path, monkeypatch):
    class Journal:
        position = "c"

        def __init__(self, state, position):
            pass

        def events(self):
            return [("postfix/smtpd", "7", "disconnect from x mail=1 data=1")]

    monkeypatch.setattr(kept_module, "Journal", Journal)
    metrics = Metrics()
    tell_traffic(instance({"maillog_file": "/dev/stdout"}), f"{tmp_path}/state.json", metrics)
    assert metrics.samples["log_readable"] == {(): 1}
    assert metrics.samples["messages_received_total"][("service", "smtpd"), ("tls", "no")] == 1
