# SPDX-License-Identifier: GPL-3.0-or-later
"""What a relay tells Prometheus is what happened on the wire, and whether it is well."""

import re
import time

import pytest
from mail import NODES, fqdn, probe, swaks, wait_for
from metrics import FILE, REFUSED, SENT, measured, total
from on_node import sh
from tasks import succeed

RECEIVED = 'messages_received_total{{service="smtpd",tls="{0}"}}'


def rises(node, before, name, by=1):
    """Postfix's log is written a moment after its client was told."""
    wait_for(lambda: total(measured(node), name) == total(before, name) + by)


def digest(node):
    return re.search(r'digest="(\w+)"', "\n".join(measured(node))).group(1)


def test_the_timer_runs_now_and_at_every_boot(host, node):
    assert host.service("smtp-metrics.timer").is_running
    assert host.service("smtp-metrics.timer").is_enabled
    sh(node, f"rm -f {FILE} && systemctl restart smtp-metrics.timer")
    wait_for(lambda: sh(node, f"ls {FILE}", check=False))


def test_a_relay_is_well(node):
    samples = measured(node)
    assert samples["healthy"] == 1
    assert samples['listener_up{service="smtp/inet"}'] == 1
    assert samples["log_readable"] == 1
    assert abs(samples["last_run_timestamp_seconds"] - time.time()) < 600
    assert sh(node, "systemctl is-failed smtp-metrics", check=False).strip() != "failed"


@pytest.mark.parametrize(("options", "tls"), [([], "no"), (["--tls"], "yes")], ids=["plaintext", "TLS"])
def test_a_message_is_counted_by_whether_it_came_over_tls(node, options, tls):
    before = measured(node)
    assert swaks(node, *options).returncode == 0
    rises(node, before, RECEIVED.format(tls))
    other = RECEIVED.format({"yes": "no", "no": "yes"}[tls])
    assert measured(node)[other] == before[other]


def test_a_message_is_counted_when_the_log_is_rotated_before_it_was_read(node):
    before = measured(node)
    assert swaks(node).returncode == 0
    wait_for(lambda: "data=1 quit=1" in sh(node, "tail -n 20 /var/log/mail.log"))
    sh(node, "postfix logrotate")
    rises(node, before, RECEIVED.format("no"))


def test_mail_to_a_neighbour_is_counted_as_sent_over_tls(node):
    neighbour = next(name for name in NODES if name != node)
    before = measured(node)
    sh(node, f"printf 'Subject: test\\n\\ntest\\n' | /usr/sbin/sendmail -f probe@{fqdn(node)} {probe(neighbour)}")
    rises(node, before, SENT)


def test_a_recipient_that_is_refused_is_counted(node):
    before = measured(node)
    swaks(node, "--to", "somebody@stranger.test", "--quit-after", "RCPT")
    rises(node, before, REFUSED)


def test_a_handshake_that_fails_is_counted(node):
    before = measured(node)
    swaks(node, "--tls", "--tls-protocol", "tlsv1", "--tls-cipher", "ALL:@SECLEVEL=0")
    rises(node, before, 'tls_handshake_failures_total{service="smtpd"}')


def test_a_message_that_waits_is_counted_and_its_age_is_told(node):
    before = measured(node)['queue_messages{queue="deferred"}']
    sh(node, "printf 'Subject: test\\n\\ntest\\n' | /usr/sbin/sendmail -f probe@localhost probe@[255.255.255.255]")
    try:
        wait_for(lambda: measured(node)['queue_messages{queue="deferred"}'] == before + 1)
        wait_for(lambda: measured(node)["oldest_deferred_message_age_seconds"] >= 2)
    finally:
        sh(node, "postsuper -d ALL deferred")
    assert measured(node)["oldest_deferred_message_age_seconds"] == 0


def test_the_certificate_is_told_to_expire_when_openssl_says_so(node):
    chain = sh(node, "postconf -hx smtpd_tls_chain_files").split(",")[0].strip()
    expires = sh(node, f'date +%s -d "$(openssl x509 -in {chain} -noout -enddate | cut -d= -f2)"')
    told = {name: value for name, value in measured(node).items() if 'use="server"' in name}
    assert float(expires) in told.values()
    assert min(value for name, value in told.items() if name.startswith("certificate_days_left")) > 0


def test_the_file_is_for_all_to_read_and_holds_no_secret_and_no_address(host, node):
    measured(node)
    file = host.file(FILE)
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    keys = sh(node, "cat $(postconf -hx smtpd_tls_chain_files smtp_tls_chain_files | tr -d ,)")
    told = sh(node, f"cat {FILE}")
    secret = [line for line in keys.splitlines() if re.fullmatch("[A-Za-z0-9+/=]{20,}", line)]
    assert secret and not [line for line in secret if line in told]
    assert not re.search(r"@|PRIVATE|stranger|elsewhere|\d+\.\d+\.\d+\.\d+", told)
    assert host.file("/var/lib/smtp-hardening/metrics.json").mode == 0o600


def test_the_digest_is_that_of_the_policy(node):
    before = digest(node)
    assert digest(node) == before
    try:
        succeed(node, "smtp_settings", parameters={"smtpd_soft_error_limit": 11})
        assert digest(node) != before
    finally:
        succeed(node, "smtp_settings", parameters={"smtpd_soft_error_limit": None})
    assert digest(node) == before


def test_a_postfix_that_does_not_run_fails_the_service_and_the_file_says_so(node):
    sh(node, "systemctl stop postfix")
    try:
        samples = measured(node)
        assert samples["healthy"] == 0
        assert samples['check_healthy{check="master"}'] == 0
        assert samples['listener_up{service="smtp/inet"}'] == 0
        assert sh(node, "systemctl is-failed smtp-metrics", check=False).strip() == "failed"
    finally:
        sh(node, "systemctl start postfix")
    wait_for(lambda: measured(node)["healthy"] == 1)
    assert sh(node, "systemctl is-failed smtp-metrics", check=False).strip() != "failed"
