# SPDX-License-Identifier: GPL-3.0-or-later
"""Users log in at one relay, which checks their passwords with a real Dovecot; another relay logs in there as a smarthost."""

import re

import dovecot
import pytest
from mail import fqdn, probe, swaks, wait_for
from on_node import begin_anew, sh
from tasks import relay, succeed

SERVER, CLIENT, RECIPIENT = "node1", "node2", "node3"
USER, PASSWORD = "ann", "correct-horse-battery"
LOG_IN = ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD]
SUBMISSIONS, SUBMISSION = ["--tlsc", "--port", "465"], ["--tls", "--port", "587"]
CA_FILE = "/etc/postfix/server.pem"
LOG = "/var/log/mail.log"
testinfra_hosts = ["local://"]


@pytest.fixture(scope="module", autouse=True)
def server():
    dovecot.serve(SERVER, USER, PASSWORD)
    yield relay(SERVER, relay_submission=["submissions", "submission"])
    dovecot.stop(SERVER)
    for node in (SERVER, CLIENT):
        relay(node, relay_allow_weaker=True)
        begin_anew(node)


def logs_in_at_server(*words):
    """The relay that hands everything to the server where it logs in; the output of the role."""
    account = {"relay_smarthost_user": USER, "relay_smarthost_password": PASSWORD}
    return relay(CLIENT, *words, relay_smarthost=f"[{fqdn(SERVER)}]:587", **account)


@pytest.mark.parametrize("port", [SUBMISSIONS, SUBMISSION], ids=["465", "587"])
def test_a_user_who_logs_in_over_tls_may_write_to_anybody(port):
    done = swaks(SERVER, *port, *LOG_IN, "--to", "somebody@stranger.test", "--quit-after", "RCPT")
    assert re.search(r"<~\s+235 ", done.stdout) and re.search(r"<~\s+250 2.1.5", done.stdout)


@pytest.mark.parametrize("port", [SUBMISSIONS, SUBMISSION], ids=["465", "587"])
def test_a_wrong_password_is_refused(port):
    done = swaks(SERVER, *port, *LOG_IN[:-1], "wrong", "--quit-after", "AUTH")
    assert re.search(r"<~\*\s+535 5.7.8", done.stdout)


@pytest.mark.parametrize("port", [SUBMISSIONS, SUBMISSION], ids=["465", "587"])
def test_who_does_not_log_in_may_write_to_nobody(port):
    assert "Access denied" in swaks(SERVER, *port, "--quit-after", "RCPT").stdout


@pytest.mark.parametrize("port", [["--port", "587"], ["--port", "25"], ["--port", "25", "--tls"]], ids=" ".join)
def test_no_password_is_asked_for_without_tls_or_on_port_25(port):
    assert not re.search("250.AUTH", swaks(SERVER, *port, "--quit-after", "EHLO").stdout)


def test_the_password_is_in_no_output_and_lies_where_root_alone_can_read_it():
    output = logs_in_at_server("-vvv", "--diff")
    files = sh(CLIENT, "find /etc/postfix/smtp_hardening/secrets -type f -printf '%m %U '")
    everywhere = sh(CLIENT, f"grep -rlF {PASSWORD} /etc/postfix {LOG} /var/log /tmp /root/.ansible || true").split()
    assert PASSWORD not in output and PASSWORD not in sh(CLIENT, "postconf -n")
    assert set(files.split()) == {"600", "0"}
    assert everywhere and all("/smtp_hardening/secrets/" in path for path in everywhere)
    assert "changed=0" in logs_in_at_server()


@pytest.mark.parametrize("level", ["may", "secure"])
def test_a_server_that_cannot_be_verified_never_sees_the_password(level, outside):
    logs_in_at_server("--tags", "settings")
    protect(level, outside[0].pem)
    write(f"no password at {level}")
    said = wait_for(lambda: re.search(r"status=deferred \((.*)\)", fresh_log(CLIENT)))[1]
    sh(CLIENT, "postsuper -d ALL")
    assert re.search("SASL authentication failed|Server certificate not (trusted|verified)", said)
    assert "sasl_method" not in fresh_log(SERVER)


def test_mail_goes_through_the_server_once_it_is_verified():
    logs_in_at_server("--tags", "settings")
    protect("secure", sh(SERVER, "openssl x509 -in $(postconf -hx smtpd_tls_chain_files)"))
    write("with a password")
    wait_for(lambda: "Subject: with a password\n" in sh(RECIPIENT, "cat /var/mail/probe || true"), 60)
    assert f"sasl_method=PLAIN, sasl_username={USER}" in fresh_log(SERVER)


def test_a_password_that_is_of_no_use_any_more_goes():
    logs_in_at_server("--tags", "settings")
    relay(CLIENT, relay_allow_weaker=["other mail"])  # which was verified at the smarthost
    assert sh(CLIENT, "postconf -n | grep sasl_password_maps || true") == ""


def protect(level, authority):
    """The level toward the server, as a record (the lab's inventory lists all of them), and whom to trust."""
    sh(CLIENT, f"cat > {CA_FILE}", authority)
    succeed(CLIENT, "smtp_tls_mode", client={"level": "may", "ca_file": CA_FILE})
    record = {"name": fqdn(SERVER), "route": f"[{fqdn(SERVER)}]:587", "level": level}
    succeed(CLIENT, "smtp_domain_policy", domains=[record], exclusive=True, allow_weaker=True)
    sh(CLIENT, "postfix reload")
    for node in (CLIENT, SERVER):
        sh(node, f": > {LOG}")


def fresh_log(node):
    """What the log says since the server was protected."""
    return sh(node, f"cat {LOG}")


def write(text):
    message = f"From: probe@localhost\nTo: {probe(RECIPIENT)}\nSubject: {text}\n\n{text}\n"
    sh(CLIENT, f"/usr/sbin/sendmail -f probe@localhost {probe(RECIPIENT)}", message)
