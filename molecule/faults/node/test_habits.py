# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that were set up by other hands, or changed beneath us: each is taken as it is, or told what to do."""

import json
import os
import shutil
import subprocess

import pytest
from by_hand import BANNER, CERTIFICATE, SO_BEFORE, edit, own_certificate, warned
from changes import CHANGES
from conftest import STORE, configuration, refuse, sh, start, succeed

pytestmark = pytest.mark.sampled("habits")


def test_blanks_in_values_settle():
    blank = {"smtpd_banner": "  habits   ESMTP ", "mynetworks": "127.0.0.0/8,  [::1]/128 "}
    assert succeed("smtp_settings", parameters=blank)["changed"]
    assert not succeed("smtp_settings", parameters=blank)["changed"]


def test_tables_follow_the_type_that_an_upgrade_brings_and_the_old_ones_can_be_brought_back(tmp_path):
    tasks = [
        CHANGES["domains"],
        ("smtp_tls_cert", {**CERTIFICATE, "name": "named", "use": [], "sni": ["named.fleet.test"]}),
        ("smtp_settings", {"secrets": {"smtp_sasl_password_maps": {"[mx.example]": "user:password"}}}),
    ]
    for module, options in tasks:
        succeed(module, **options)
    before, state = configuration(), succeed("smtp_tls_info")["history"][-1]["number"]
    edit("default_database_type=btree")
    drift = succeed("smtp_tls_info")["drift"]
    assert [found["name"] for found in drift["differs"]] == ["default_database_type"]
    for module, options in tasks:
        assert succeed(module, **options)["changed"], module
        assert not succeed(module, **options)["changed"], module
    assert f"hash:{STORE}" not in configuration()[0]
    succeed("smtp_rollback", to=state)
    assert configuration() == before


def test_a_master_cf_without_tlsmgr_gets_one_with_the_first_change_that_needs_it():
    sh("postconf", "-MX", "tlsmgr/unix")
    start()
    assert SO_BEFORE in refuse("smtp_settings", **BANNER)
    assert succeed("smtp_tls_cert", **CERTIFICATE)["changed"]
    assert "tlsmgr     unix" in configuration()[1]
    assert not succeed("smtp_tls_mode", profile="lenient_default")["changed"]


def test_a_client_certificate_of_somebody_elses_is_told_and_taken_out_on_request(tmp_path):
    certificate, private = own_certificate(tmp_path)
    edit(f"smtp_tls_cert_file={certificate}", f"smtp_tls_key_file={private}")
    (told,) = warned(succeed("smtp_tls_cert", **CERTIFICATE))
    assert str(certificate) in told and "withdraw: [client] takes it out" in told
    taken_out = succeed("smtp_tls_cert", **CERTIFICATE, withdraw=["client"])
    assert taken_out["changed"] and not warned(taken_out)
    assert "smtp_tls_cert_file" not in configuration()[0] and "smtp_tls_key_file" not in configuration()[0]
    assert not succeed("smtp_tls_cert", **CERTIFICATE, withdraw=["client"])["changed"]


@pytest.fixture
def without_systemd():
    """As in a container with another init (sd_booted(3))."""
    os.rename("/run/systemd/system", "/run/systemd/away")
    yield
    os.rename("/run/systemd/away", "/run/systemd/system")


def test_without_systemd_a_renewal_is_brought_in_by_the_command_that_the_warning_shows(tmp_path, without_systemd):
    certificate, private = own_certificate(tmp_path)
    external = {"tool": "lego", "certificate": str(certificate), "private_key": str(private)}
    options = {"name": "renewed", "provider": "external", "external": external, "use": ["server"]}
    (warning,) = [text for text in warned(succeed("smtp_tls_cert", **options)) if "external.hook" in text]
    assert not any("smtp-hardening-" in name for name in os.listdir("/etc/systemd/system"))
    own_certificate(tmp_path)
    command = warning.rpartition(": ")[2]
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert sh("postconf", "-h", "smtpd_tls_chain_files").strip() == f"{STORE}/certificates/renewed/2.pem"
    again = succeed("smtp_tls_cert", **options)
    assert again["changed"] is False and warning in warned(again)


AMAVIS = {
    "smtp-amavis/unix": "smtp-amavis unix - - n - 2 smtp -o smtp_tls_security_level=none",
    "127.0.0.1:10025/inet": "127.0.0.1:10025 inet n - n - - smtpd -o smtpd_tls_security_level=none -o content_filter=",
}


def test_the_refusal_of_a_filters_services_shows_the_entries_that_let_them_be():
    sh("postconf", "-Me", *(f"{name}={entry}" for name, entry in AMAVIS.items()))
    sh("postfix", "reload")
    sentence = refuse("smtp_tls_mode", profile="lenient_default")
    assert "services: [{name: smtp-amavis/unix, level: none}, {name: 127.0.0.1:10025/inet, level: none}]." in sentence
    services = [{"name": name, "level": "none"} for name in AMAVIS]
    succeed("smtp_tls_mode", profile="lenient_default", services=services)
    assert not succeed("smtp_tls_mode", profile="lenient_default", services=services)["changed"]


POLICY = """\
import os, sys
def parent(pid):
    return open(f"/proc/{pid}/status").read().split("PPid:")[1].split()[0]
master = open(f"/proc/{parent(os.getppid())}/cmdline").read()
with open("/run/policy/asked", "a") as log:
    log.write("twin\\n" if "smtp_hardening" in master else "live\\n")
while line := sys.stdin.readline():
    if line == "\\n":
        print("action=DUNNO\\n", flush=True)
"""


def test_a_policy_server_that_postfix_starts_is_not_started_a_second_time_for_the_twin():
    shutil.rmtree("/run/policy", ignore_errors=True)
    os.mkdir("/run/policy")
    os.chmod("/run/policy", 0o777)
    with open("/run/policy/server.py", "w") as handle:
        handle.write(POLICY)
    entry = "policy unix - n n - 0 spawn user=nobody argv=/usr/bin/python3 /run/policy/server.py"
    sh("postconf", "-Me", f"policy/unix={entry}")
    edit("smtpd_recipient_restrictions=check_policy_service unix:private/policy, reject_unauth_destination")
    assert succeed("smtp_settings", **BANNER)["changed"]
    with open("/run/policy/asked") as log:
        assert set(log) == {"live\n"}


def test_what_a_package_of_postfix_does_to_its_configuration_is_told_and_settled():
    """dpkg-reconfigure writes main.cf anew; an upgrade adds the services that a release brings (postfix-script)."""
    succeed("smtp_tls_mode", client={"level": "encrypt"})
    state = succeed("smtp_tls_info")["history"][-1]["number"]
    before = configuration()
    answers = (
        "postfix postfix/main_mailer_type select Internet Site\npostfix postfix/mailname string other.example.org\n"
    )
    subprocess.run(["debconf-set-selections"], input=answers, text=True, check=True)
    sh("postconf", "-MX", "relay/unix")
    sh("env", "DEBIAN_FRONTEND=noninteractive", "dpkg-reconfigure", "postfix")
    sh("postfix", "upgrade-configuration")
    sh("postconf", "-e", "smtp_tls_security_level=may")
    start()
    drift = succeed("smtp_tls_info")["drift"]
    assert "smtp_tls_security_level" in [found["name"] for found in drift["differs"]], drift
    assert "client.level" in [found["name"] for found in drift["weaker"]]
    print("a reconfigured package changed", json.dumps([found["name"] for found in drift["differs"]]))
    succeed("smtp_tls_mode", client={"level": "encrypt"})
    assert not succeed("smtp_tls_mode", client={"level": "encrypt"})["changed"]
    assert "client.level" not in [found["name"] for found in succeed("smtp_tls_info")["drift"]["weaker"]]
    succeed("smtp_rollback", to=state, allow_weaker=True)
    assert configuration() == before
