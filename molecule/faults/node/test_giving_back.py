# SPDX-License-Identifier: GPL-3.0-or-later
"""A node is given back: to any state that it remembers, and to what it was before this collection came."""

import os
import shutil
import smtplib
import time

import pytest
from conftest import CONFIG, STORE, answers, configuration, leftovers, picture, refuse, sh, start, succeed
from pems import key, self_signed
from test_rollback import banner, files, history, shown_certificate

pytestmark = pytest.mark.sampled("giving_back")

FOUND = 1
STRICT = {
    "server": {"level": "encrypt", "minimum_protocol": "TLSv1.3"},
    "client": {"connection_reuse": True},
    "services": [{"name": "smtp", "client_certificates": "request"}],
}


def by_hand(*words):
    """Somebody's edit, as found by the next change."""
    sh("postconf", *words)
    sh("touch", "-d", "1 minute ago", f"{CONFIG}/main.cf")
    sh("postfix", "reload")
    return files()


def test_deprecated_parameters_that_were_taken_out_come_back_with_their_state():
    before = by_hand(
        "-e", "smtpd_use_tls=no", "smtpd_enforce_tls=no", "smtp_use_tls=no", "smtpd_tls_dh1024_param_file=auto"
    )
    succeed("smtp_tls_mode", server={"level": "encrypt"}, client={"level": "encrypt"})
    assert "smtpd_use_tls" not in configuration()[0]
    succeed("smtp_rollback", allow_weaker=True)
    assert files() == before and not leftovers()


def test_what_was_found_comes_back_and_a_service_that_is_new_goes_again():
    succeed("smtp_tls_mode", **STRICT)
    result = succeed("smtp_rollback", to=FOUND, allow_weaker=True)
    assert result["to"]["summary"] == "as found, made by other means"
    assert "tlsproxy" not in configuration()[1] and "smtp_hardening" not in configuration()[0]
    assert answers() and not leftovers()
    assert not succeed("smtp_rollback", to=FOUND, allow_weaker=True)["changed"]


def test_what_named_a_file_that_is_gone_stays_as_it_is_and_the_rest_comes_back():
    domains = [{"name": "partner.example", "level": "encrypt"}]
    succeed("smtp_domain_policy", domains=domains)
    chain, table = (sh("postconf", "-h", n).strip() for n in ("smtpd_tls_chain_files", "smtp_tls_policy_maps"))
    succeed("smtp_settings", **banner(1))
    state = history()[-1]["number"]
    made = {"key_type": "ecdsa"}
    succeed("smtp_tls_cert", name="second", provider="self_signed", self_signed=made, use=["server"])
    succeed("smtp_domain_policy", domains=[*domains, {"name": "other.example", "level": "encrypt"}])
    succeed("smtp_settings", **banner(2))
    kept = shown_certificate(), sh("postconf", "-h", "smtp_tls_policy_maps")
    shutil.move(chain, "/root/aside.pem")
    shutil.move(os.path.dirname(table.partition(":")[2]), "/root/aside")
    result = succeed("smtp_rollback", to=state, allow_weaker=True)
    shutil.rmtree("/root/aside")
    said = str(result["warnings"])
    assert f"{chain}, which smtpd_tls_chain_files named then, is gone; it stays as it is now ({STORE}" in said
    assert "which smtp_tls_policy_maps named then, is gone" in said
    assert (shown_certificate(), sh("postconf", "-h", "smtp_tls_policy_maps")) == kept
    assert sh("postconf", "-h", "smtpd_banner") == "mx ESMTP 1\n"
    assert not succeed("smtp_rollback", to=state, allow_weaker=True)["changed"]


@pytest.mark.parametrize(
    "broken",
    [
        ["smtpd_tls_chain_files=/etc/postfix/none.pem"],
        ["smtpd_recipient_restrictions=check_client_access hash:/etc/postfix/none, permit_mynetworks, reject"],
    ],
    ids=["certificate", "table"],
)
def test_a_state_that_was_broken_when_it_was_found_comes_back_as_it_was(broken):
    before = by_hand("-e", *broken)
    made = {"key_type": "ecdsa"}
    if "chain_files" in broken[0]:
        succeed("smtp_tls_cert", name="second", provider="self_signed", self_signed=made, use=["server"])
    else:
        succeed("smtp_settings", parameters={"smtpd_recipient_restrictions": ["permit_mynetworks", "reject"]})
    succeed("smtp_rollback", allow_weaker=True)
    assert files() == before and not leftovers()


def test_what_was_broken_when_it_was_found_comes_back_beside_a_listener_that_is_new_since():
    sh("postconf", "-X", "smtpd_tls_chain_files")
    shutil.rmtree(f"{STORE}/history")
    by_hand("-e", "smtpd_tls_security_level=may")
    succeed("smtp_tls_cert", provider="self_signed", self_signed={"key_type": "ecdsa"}, use=["server"])
    by_hand("-Me", "2525/inet=2525 inet n - y - - smtpd")
    succeed("smtp_rollback", state="absent", allow_weaker=True)
    parameters, services = configuration()
    assert "chain_files" not in parameters and "2525" in services and not os.path.exists(f"{STORE}/history")


def test_a_state_that_was_well_must_be_well_again():
    chain = f"{CONFIG}/mine.pem"
    with open(chain, "w") as handle:
        private = key()
        handle.write(private + self_signed("/root", private))
    by_hand("-X", "smtpd_tls_chain_files")
    by_hand("-e", f"smtpd_tls_chain_files={chain}")
    succeed("smtp_settings", **banner(1))
    with open(chain, "w") as handle:
        handle.write("broken")
    before = files()
    assert "mine.pem" in refuse("smtp_rollback", allow_weaker=True)
    assert files() == before


@pytest.fixture
def as_debian_has_it():
    """Postfix in Debian 13's own bounds, in which master(8) may not end its processes."""
    drop_in = "/etc/systemd/system/postfix.service.d/smtp-hardening.conf"
    there = os.path.exists(drop_in)
    if there:
        os.rename(drop_in, "/root/drop-in.conf")
    sh("systemctl", "daemon-reload")
    start()
    yield
    if there:
        os.rename("/root/drop-in.conf", drop_in)
    sh("systemctl", "daemon-reload")
    start()


@pytest.mark.usefixtures("as_debian_has_it")
def test_all_goes_and_what_somebody_has_changed_stays_whatever_postfix_may_do_to_its_processes():
    succeed("smtp_tls_mode", **STRICT)
    sh("postconf", "-Me", "2525/inet=2525 inet n - y - - smtpd")
    succeed(
        "smtp_settings", parameters={"smtpd_banner": "ours ESMTP"}, services=[{"name": "2626/inet", "command": "smtpd"}]
    )
    with smtplib.SMTP("127.0.0.1", 2626, timeout=10) as session:
        assert session.ehlo()[0] == 250
        by_hand("-e", "smtpd_banner=theirs ESMTP")
        begun = time.monotonic()
        result = succeed("smtp_rollback", state="absent", allow_weaker=True)
        assert time.monotonic() - begun < 60
    assert [(one["name"], one["value"]) for one in result["theirs"]] == [("smtpd_banner", "theirs ESMTP")]
    parameters, services = configuration()
    assert "smtp_hardening" not in parameters and "theirs ESMTP" in parameters
    assert "2626" not in services and "tlsproxy" not in services and "2525" in services
    assert not os.path.exists(STORE) and answers()
    before = picture()
    assert not succeed("smtp_rollback", state="absent")["changed"]
    assert picture() == before
