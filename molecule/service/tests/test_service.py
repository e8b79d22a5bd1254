# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay from its installation on: it runs within bounds, runs out of mail, stops and comes back; its log is kept."""

import json
import re

import pytest
from mail import NODES, fqdn, probe, swaks, wait_for
from on_node import begin_anew, sh
from tasks import ansible, playbook, relay

NODE, NEIGHBOUR = "node3", "node2"
LOG = "/var/log/mail.log"
STATE, SETTINGS = ("--tags", "state"), ("--tags", "settings")
"""Of the role, what alone has something to do; the whole of it is applied where all else must stay as it is."""
pytestmark = pytest.mark.sampled("service")
testinfra_hosts = ["local://"]


@pytest.fixture(scope="module", autouse=True)
def a_relay():
    """For each test, whichever of them run; other files leave the node as another kind of host."""
    relay(NODE)
    yield
    relay(NODE)
    for node in (NODE, NEIGHBOUR):
        begin_anew(node)


def changed(output):
    return int(re.search(rf"{NODE} .* changed=(\d+)", output)[1])


def refused(*words, **variables):
    with pytest.raises(AssertionError) as refusal:
        relay(NODE, *words, **variables)
    return " ".join(str(refusal.value).split())


def answers():
    return " ESMTP " in swaks(NODE, "--quit-after", "BANNER").stdout


def write_to(node, text):
    """A message from a program on the node; its number in Postfix's queue is not known."""
    message = f"From: probe@localhost\nTo: {probe(node)}\nSubject: {text}\n\n{text}\n"
    sh(NODE, f"/usr/sbin/sendmail -f probe@localhost {probe(node)}", message)


def arrived(node, text):
    return f"Subject: {text}\n" in sh(node, "cat /var/mail/probe || true")


def test_a_node_without_postfix_is_foretold_what_comes_then_becomes_a_relay_and_stays_one():
    sh(NODE, "DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y postfix python3-cryptography logrotate")
    sh(NODE, "rm -rf /etc/postfix /etc/logrotate.d/smtp-hardening*")
    foretold = relay(NODE, "--check", relay_submission=["submissions"])
    there = sh(NODE, "command -v postconf || echo none")
    first = relay(NODE)
    again, check = relay(NODE), relay(NODE, "--check")
    assert changed(foretold) >= 3 and there == "none\n"
    assert (changed(first) > 0, changed(again), changed(check)) == (True, 0, 0)
    assert answers()


def test_postfix_is_started_again_when_it_is_killed():
    before = sh(NODE, "cat /var/spool/postfix/pid/master.pid")
    sh(NODE, f"kill -KILL {before}")
    wait_for(answers)
    assert sh(NODE, "cat /var/spool/postfix/pid/master.pid") != before


def test_postfix_stays_down_when_somebody_stops_it():
    sh(NODE, "postfix stop")
    state = wait_for(lambda: re.search("failed|inactive", sh(NODE, "systemctl is-active postfix", check=False)))
    assert state
    assert "not running" in sh(NODE, "postfix status 2>&1", check=False)
    sh(NODE, "systemctl reset-failed postfix; systemctl start postfix")


def test_it_runs_with_the_capabilities_that_it_needs_and_no_others():
    needed = {0, 1, 2, 3, 5, 6, 7, 10, 18}  # capabilities(7), linux/capability.h
    assert {bit for bit in range(41) if capabilities() >> bit & 1} <= needed


def test_without_its_bounds_a_listener_goes_though_postfix_may_not_end_its_processes():
    """Debian 13's own unit takes CAP_KILL from master(8), which then waits for processes that it may not end."""
    without_login = {"smtpd_sasl_auth_enable": False}  # nobody here knows users' passwords
    relay(
        NODE, relay_submission=["submissions"], relay_submission_parameters=without_login, relay_service_hardening=False
    )
    assert sh(NODE, "ls /etc/systemd/system/postfix*.service.d || true") == ""
    assert changed(relay(NODE, relay_service_hardening=False)) == 1 and answers()
    relay(NODE)
    assert "submissions" not in sh(NODE, "postconf -M") and answers()


def capabilities():
    bounds = sh(NODE, "grep CapEff /proc/$(tr -d ' ' < /var/spool/postfix/pid/master.pid)/status")
    return int(bounds.split()[1], 16)


def test_a_draining_relay_takes_no_mail_and_what_it_has_goes_out():
    sh(NEIGHBOUR, "systemctl stop postfix")
    write_to(NEIGHBOUR, "waits for its neighbour")
    wait_for(lambda: "Connection refused" in sh(NODE, "postqueue -p"))
    sh(NEIGHBOUR, "systemctl start postfix")
    relay(NODE, *STATE, relay_state="draining")
    again = relay(NODE, relay_state="draining")
    wait_for(lambda: arrived(NEIGHBOUR, "waits for its neighbour"))
    assert "421 4.3.2" in swaks(NODE).stdout
    assert changed(again) == 0
    write_to(NEIGHBOUR, "from the host itself")
    wait_for(lambda: arrived(NEIGHBOUR, "from the host itself"))
    assert changed(relay(NODE)) == 1
    assert answers()


def test_what_cannot_be_delivered_stays_in_the_queue_and_does_not_hold_up_draining():
    sh(NEIGHBOUR, "systemctl stop postfix")
    write_to(NEIGHBOUR, "waits longer")
    relay(NODE, *STATE, relay_state="draining")
    assert probe(NEIGHBOUR) in sh(NODE, "postqueue -p")
    sh(NEIGHBOUR, "systemctl start postfix")
    relay(NODE, *STATE)
    sh(NODE, "postqueue -f")
    wait_for(lambda: arrived(NEIGHBOUR, "waits longer"))


def test_a_stopped_relay_stays_stopped_until_it_is_to_run():
    relay(NODE, relay_state="stopped")
    again = relay(NODE, relay_state="stopped")
    states = sh(NODE, "systemctl is-active postfix; systemctl is-enabled postfix", check=False).split()
    assert (states, changed(again)) == (["inactive", "disabled"], 0)
    relay(NODE)
    assert answers()
    assert sh(NODE, "systemctl is-enabled postfix") == "enabled\n"


def test_harden_drains_a_node_and_lets_it_take_mail_again():
    sh(NODE, "postconf -e own_rules=reject_unauth_pipelining 'smtpd_data_restrictions = $own_rules' && postfix reload")
    domains = json.dumps({"smtp_domains": [{"name": "else.test", "level": "encrypt"}]})
    words = ["-e", "smtp_profile=lenient_default", "-e", "smtp_allow_weaker=true", "-e", domains, "--limit", NODE]
    output = playbook("harden", *words, "-e", "smtp_harden_drain=true")
    assert re.search(r"Wait until nothing is on its way.*Set what differs.*Take mail", output, re.S)
    assert answers() and sh(NODE, "postconf -h smtpd_data_restrictions") == "$own_rules\n"
    begin_anew(NODE)


def test_the_log_is_rotated_and_goes_on():
    sh(NODE, "rm -f /var/log/relay.log*")
    relay(NODE, relay_log_file="/var/log/relay.log")
    sh(NODE, "logrotate --force /etc/logrotate.d/smtp-hardening-etc-postfix")
    wait_for(answers)
    wait_for(lambda: "connect from" in sh(NODE, "cat /var/log/relay.log || true"))
    assert re.search(r"relay\.log-\d+", sh(NODE, "ls /var/log"))


@pytest.mark.parametrize(
    ("networks", "sentence"),
    [
        (["127.0.0.0/8", "0.0.0.0/0"], "lets everybody relay"),
        (["[::]/0"], "lets everybody relay"),
        (["198.51.100.0/24"], "is a public range"),
        (["[2001:db8::]/32"], "is a public range"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_open_relay_is_refused(networks, sentence):
    begin_anew(NODE)
    before = sh(NODE, "md5sum /etc/postfix/*.cf")
    assert sentence in refused(*SETTINGS, relay_networks=networks)
    assert sh(NODE, "md5sum /etc/postfix/*.cf") == before


def test_a_public_range_that_is_confirmed_may_relay():
    networks = {"relay_networks": ["127.0.0.0/8", "198.51.100.0/24"], "relay_public_networks": ["198.51.100.0/24"]}
    relay(NODE, *SETTINGS, **networks)
    assert "198.51.100.0/24" in sh(NODE, "postconf -h mynetworks")


def test_a_client_that_talks_before_it_is_greeted_does_not_get_past_postscreen():
    relay(NODE, relay_postscreen=True)
    hasty = f"exec 3<>/dev/tcp/{NODES[NODE]}/25; printf 'EHLO hasty.elsewhere.test\\r\\n' >&3; timeout 20 cat <&3"
    sh(NEIGHBOUR, f"bash -c {json.dumps(hasty)} || true")
    assert re.search("postscreen.*PREGREET", sh(NODE, f"cat {LOG}"))
    polite = swaks(NODE, "--timeout", "30")
    assert re.search("450 4.3.2|queued as", polite.stdout), "a new client is told to come again once it has passed"
    wait_for(lambda: "queued as" in swaks(NODE).stdout, 60)
    assert changed(relay(NODE, relay_postscreen=True)) == 0
    relay(NODE)
    assert "queued as" in swaks(NODE).stdout


def test_names_of_local_domains_stand_in_one_place():
    message = refused(relay_local_domains=[{"name": "a.example"}])
    assert "relay_local_domains: a.example would go again, since smtp_domains lists all" in message
    done = ansible(NODE, "smtp_tls_info", {})
    assert done.returncode == 0
    assert fqdn(NODE) in done.stdout


def test_all_that_was_brought_goes_again_and_what_somebody_has_changed_stays():
    relay(NODE)
    sh(NODE, "postconf -e 'smtpd_banner = $myhostname ESMTP theirs'")
    removed = playbook("remove", "-l", NODE, "-e", "smtp_allow_weaker=true")
    assert "smtpd_banner" in removed and changed(removed) > 3
    brought = "/etc/postfix/smtp_hardening /usr/local/lib/smtp-* /etc/systemd/system/smtp-* /etc/systemd/system/postfix*.service.d"
    left = f"ls -d {brought} /etc/logrotate.d/smtp-* /var/lib/smtp-hardening /var/lib/prometheus/node-exporter/smtp_* 2>/dev/null"
    assert sh(NODE, f"{left}; true") == ""
    assert "ESMTP theirs" in sh(NODE, "postconf -n") and "smtp_hardening" not in sh(NODE, "postconf -n")
    assert answers()
    assert changed(playbook("remove", "-l", NODE)) == 0
