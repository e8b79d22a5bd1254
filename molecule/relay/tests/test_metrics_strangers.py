# SPDX-License-Identifier: GPL-3.0-or-later
"""What others say, and what they put into their folders, leads the metrics nowhere; a second instance has its own."""

import pytest
from mail import swaks, wait_for
from metrics import FILE, REFUSED, SENT, measured, total
from on_node import sh
from tasks import relay

FORGED = '"u>, relay=a, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"@[255.255.255.255]'
OUT = "/etc/postfix-out"
pytestmark = pytest.mark.sampled("metrics_strangers")
testinfra_hosts = ["local://"]


@pytest.fixture
def node():
    """One of them: a play of the role for each step takes long."""
    return "node3"


def test_a_recipient_that_looks_like_a_delivery_is_none(node):
    before = measured(node)
    sh(node, f"printf 'Subject: test\\n\\ntest\\n' | /usr/sbin/sendmail -f probe@localhost '{FORGED}'")
    try:
        wait_for(lambda: "status=sent (250 ok)" in sh(node, "grep -h 255.255.255.255 /var/log/*.log", check=False))
        wait_for(lambda: total(measured(node), 'queue_messages{queue="deferred"}') == 1)
        sent = r'(sent|local)_recipients_total{.*status="sent"}'
        assert total(measured(node), sent) == total(before, sent)
    finally:
        sh(node, "postsuper -d ALL deferred")


def test_a_client_that_speaks_of_tls_is_refused_for_another_reason(node):
    before = measured(node)
    refusal = swaks(node, "--helo", "x tls certificate", "--to", "somebody@stranger.test", "--quit-after", "RCPT")
    assert "Recipient" in refusal.stdout + refusal.stderr or refusal.returncode
    wait_for(lambda: total(measured(node), REFUSED) > total(before, REFUSED))
    about_tls = r'refused_in_total{service="smtpd",stage=".*",code=".xx",cause="tls"}'
    assert total(measured(node), about_tls) == total(before, about_tls)


def test_pipes_and_links_of_others_are_passed_over(node):
    sh(
        node,
        "setpriv --reuid postfix --clear-groups mkfifo /var/spool/postfix/deferred/F1 /var/spool/postfix/deferred/F2",
    )
    sh(node, "setpriv --reuid postfix --clear-groups ln -s /etc /var/spool/postfix/deferred/L")
    sh(node, "mkfifo /var/log/postfix.log.1 /var/log/mail.log.1", check=False)
    try:
        samples = measured(node)
        assert samples["healthy"] == 1 and samples['queue_messages{queue="deferred"}'] == 0
        assert samples["run_duration_seconds"] < 20
    finally:
        sh(node, "rm -f /var/spool/postfix/deferred/[FL]* /var/log/postfix.log.1 /var/log/mail.log.1")


def test_a_folder_of_prometheus_that_is_somebody_elses_link_is_not_written_to(node):
    folder = FILE.rpartition("/")[0]
    sh(node, f"systemctl stop smtp-metrics.timer; mv {folder} {folder}.kept; mkdir -p /etc/attacked")
    sh(node, f"ln -s /etc/attacked {folder} && chown -h nobody {folder}")
    try:
        sh(node, "systemctl start smtp-metrics", check=False)
        assert sh(node, "ls -A /etc/attacked") == ""
    finally:
        sh(node, f"rm -rf {folder} /etc/attacked; mv {folder}.kept {folder}; systemctl start smtp-metrics.timer")
    assert measured(node)["healthy"] == 1


def test_an_octet_of_main_cf_that_is_no_text_is_no_failure(node):
    sh(node, "cp -p /etc/postfix/main.cf /root/main.cf; printf 'mail_name = B\\374ro\\n' >>/etc/postfix/main.cf")
    try:
        samples = measured(node)
        assert samples["healthy"] == 1
    finally:
        sh(node, "cp -p /root/main.cf /etc/postfix/main.cf; rm /root/main.cf")


@pytest.fixture
def second(node):
    """A second instance, with nothing that listens."""
    sh(node, f"mkdir -p {OUT} && postmulti -e init && postmulti -I postfix-out -G out -e create")
    yield OUT
    relay(node, "--tags", "metrics", relay_config_dir=OUT, relay_metrics="")
    sh(
        node,
        "postmulti -i postfix-out -e disable; postmulti -i postfix-out -e destroy; postmulti -e deinit",
        check=False,
    )
    sh(node, f"rm -rf {OUT} /var/spool/postfix-out /var/lib/postfix-out")


def test_a_second_instance_leaves_the_first_ones_metrics_alone(node, second):
    before = sh(node, "cat /etc/systemd/system/smtp-metrics.service")
    relay(node, "--tags", "metrics", relay_config_dir=second)
    assert sh(node, "cat /etc/systemd/system/smtp-metrics.service") == before
    sh(node, "systemctl start smtp-metrics-etc-postfix_2Dout", check=False)
    told = sh(node, f"cat {FILE.replace('.prom', '-etc-postfix_2Dout.prom')}")
    assert 'smtp_hardening_check_healthy{check="master",config_dir="/etc/postfix-out"} 0' in told
    assert measured(node)["healthy"] == 1 and SENT in measured(node)
    relay(node, "--tags", "metrics", relay_config_dir=second, relay_metrics="")
    assert sh(node, "ls /etc/systemd/system | grep smtp-metrics").split() == [
        "smtp-metrics.service",
        "smtp-metrics.timer",
    ]
    assert measured(node)["healthy"] == 1


def test_the_program_of_former_releases_goes_when_no_unit_names_it_any_more(node, second):
    former, unit = "/usr/local/lib/smtp-metrics.py", "/etc/systemd/system/smtp-metrics.service"
    relay(node, "--tags", "metrics", relay_config_dir=second)
    theirs = f"{unit.replace('.service', '-etc-postfix_2Dout.service')}"
    sh(node, f"echo 'raise SystemExit(7)' >{former}; sed -i 's|smtp-metrics.pyz |smtp-metrics.py |' {unit} {theirs}")
    relay(node, "--tags", "metrics")
    assert sh(node, f"ls {former}").strip() == former
    assert measured(node)["healthy"] == 1
    relay(node, "--tags", "metrics", relay_config_dir=second)
    assert not sh(node, f"ls {former}", check=False)
    assert "smtp-metrics.py " not in sh(node, f"cat {unit} {theirs}")


def test_units_that_a_second_instance_had_under_the_first_ones_names_are_taken_over(node, second):
    unit = "/etc/systemd/system/smtp-metrics.service"
    sh(node, f'sed -i \'s|--config-dir "/etc/postfix"|--config-dir "{second}"|\' {unit}')
    try:
        relay(node, "--tags", "metrics", relay_config_dir=second)
        assert not sh(node, f"ls {unit}", check=False)
        assert "_2Dout.timer" in sh(node, "systemctl list-timers --no-legend --no-pager")
    finally:
        relay(node, "--tags", "metrics")
    assert measured(node)["healthy"] == 1
