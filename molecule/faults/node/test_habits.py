# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that were set up by other hands, and were broken before we came: each is taken as it is, or told what to do."""

import json
import os
import re
import shutil
import subprocess

import pytest
from changes import CHANGES
from conftest import CONFIG, STORE, configuration, picture, refuse, run, sh, start, succeed
from pems import HOST, key, self_signed

CERTIFICATE = {"provider": "self_signed", "self_signed": {"key_type": "ecdsa"}, "use": ["server"]}
BANNER = {"parameters": {"smtpd_banner": "habits ESMTP"}}
SO_BEFORE = "It was so before"


def edit(*assignments, gone=()):
    """What somebody does by hand."""
    sh("postconf", "-e", *assignments)
    if gone:
        sh("postconf", "-X", *gone)
    sh("postfix", "reload")


def warned(result):
    """What a result warns of, as any version of ansible-core hands it over."""
    return [text["event"]["msg"] if isinstance(text, dict) else text for text in result.get("warnings", [])]


def by_hand(folder, keys=1):
    """A certificate in a file of its own, and its key, or another one, in a second file."""
    made = [key() for _each in range(keys)]
    (folder / "own.pem").write_text(self_signed(folder, made[0], extensions=[f"subjectAltName=DNS:{HOST}"]))
    (folder / "own.key").write_text(made[-1])
    return folder / "own.pem", folder / "own.key"


@pytest.mark.parametrize("harm", ["missing", "mismatched"])
def test_a_certificate_that_was_broken_before_is_told_and_the_next_one_mends_it(tmp_path, harm):
    certificate, private = by_hand(tmp_path, keys=2)
    if harm == "missing":
        certificate.unlink()
    edit(f"smtpd_tls_cert_file={certificate}", f"smtpd_tls_key_file={private}", gone=["smtpd_tls_chain_files"])
    before = picture()
    sentence = refuse("smtp_settings", **BANNER)
    assert SO_BEFORE in sentence and str(certificate) in sentence
    assert picture() == before
    assert "active.server" in [found["about"] for found in succeed("smtp_tls_info")["findings"]]
    assert succeed("smtp_tls_cert", **CERTIFICATE)["changed"]
    assert succeed("smtp_settings", **BANNER)["changed"]


def test_a_listener_that_was_broken_before_is_told_and_what_breaks_it_can_be_taken_out():
    edit("smtpd_sasl_auth_enable=yes", "smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/nobody")
    sentence = refuse("smtp_settings", **BANNER)
    assert f"{SO_BEFORE}: the same is seen at smtp/inet without this change" in sentence
    mended = {"smtpd_sasl_auth_enable": None, "smtpd_sasl_type": None, "smtpd_sasl_path": None}
    assert succeed("smtp_settings", parameters={**mended, **BANNER["parameters"]})["changed"]


def test_what_this_change_breaks_was_not_so_before():
    assert SO_BEFORE not in refuse("smtp_settings", parameters={"smtpd_recipient_restrictions": "bogus"})


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_a_configuration_that_postfix_cannot_read_is_told_and_brought_back(name):
    succeed("smtp_settings", **BANNER)
    right = picture()[f"{CONFIG}/{name}"][3:4]
    with open(f"{CONFIG}/{name}", "a") as handle:
        handle.write("half a line\n")
    assert SO_BEFORE in refuse("smtp_settings", parameters={"smtpd_banner": "other ESMTP"})
    told = run("smtp_tls_info", {"client": {"level": "encrypt"}}).data
    if name == "main.cf":
        assert told["failed"] and "smtp_rollback" in told["msg"]
    else:
        assert told["findings"][0]["about"] == "master.cf" and "smtp_rollback" in told["findings"][0]["problem"]
        assert (told["client"]["level"], told["pending"]["mode"]["changed"]) == ("may", True)
    assert succeed("smtp_rollback")["changed"]
    assert picture()[f"{CONFIG}/{name}"][3:4] == right
    assert not any("half a line" in open(f"{STORE}/history/{n}/{name}").read() for n in os.listdir(f"{STORE}/history"))
    assert succeed("smtp_tls_info")["findings"] == []


def test_records_that_nobody_can_read_stop_nothing_but_changes_of_records():
    module, options = CHANGES["domains"]
    succeed(module, **options)
    (records,) = re.findall(r"(/\S+/)tls_policy", sh("postconf", "-h", "smtp_tls_policy_maps"))
    records += "records.json"
    with open(records, "w") as handle:
        handle.write("[")
    told = succeed("smtp_tls_info")
    assert records in next(found["problem"] for found in told["findings"] if found["about"] == "domains")
    assert told["posture"]["ways"]["partner.example"]["level"] == "encrypt"
    assert succeed("smtp_settings", **BANNER)["changed"]
    assert succeed("smtp_tls_cert", **CERTIFICATE, renew_now=True)["changed"]
    assert "List all domains with exclusive: true and allow_weaker: true" in refuse(module, **options)
    assert succeed(module, **options, exclusive=True, allow_weaker=True)["changed"]
    assert succeed("smtp_tls_info")["findings"] == []


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
    certificate, private = by_hand(tmp_path)
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
    certificate, private = by_hand(tmp_path)
    external = {"tool": "lego", "certificate": str(certificate), "private_key": str(private)}
    options = {"name": "renewed", "provider": "external", "external": external, "use": ["server"]}
    (warning,) = [text for text in warned(succeed("smtp_tls_cert", **options)) if "external.hook" in text]
    assert not any("smtp-hardening-" in name for name in os.listdir("/etc/systemd/system"))
    by_hand(tmp_path)
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
