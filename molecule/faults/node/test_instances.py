# SPDX-License-Identifier: GPL-3.0-or-later
"""A second Postfix instance, made with postmulti(1), is changed without touching the first."""

import smtplib
import time

import pytest
from conftest import CONFIG, OLD, answers, picture, put_back, refuse, run, sh, succeed

OUT = "/etc/postfix-out"


@pytest.fixture(scope="module")
def second():
    """The instance; the first one knows of it as long as these tests run."""
    sh("rsync", "--archive", f"{CONFIG}/", "/root/alone/")
    sh("postmulti", "-e", "init")
    sh("postmulti", "-I", "postfix-out", "-G", "mta", "-e", "create")
    settings = ["master_service_disable=", "inet_interfaces=127.0.0.1", "authorized_submit_users="]
    sh("postconf", "-c", OUT, "-e", *settings, "maillog_file=/var/log/mail-out.log")
    sh("postconf", "-c", OUT, "-MX", "smtp/inet")
    sh("postconf", "-c", OUT, "-Me", "2526/inet=2526 inet n - n - - smtpd")
    sh("postmulti", "-i", "postfix-out", "-e", "enable")
    sh("touch", "-d", "1 minute ago", f"{CONFIG}/main.cf", f"{OUT}/main.cf")
    sh("rsync", "--archive", "--delete", f"{CONFIG}/", f"{OLD}/")
    sh("postfix", "-c", OUT, "start")
    yield OUT
    sh("postfix", "-c", OUT, "stop")
    sh("postmulti", "-i", "postfix-out", "-e", "disable")
    sh("rm", "-r", f"{OUT}/smtp_hardening")
    sh("postmulti", "-i", "postfix-out", "-e", "destroy")
    sh("rsync", "--archive", "--delete", "/root/alone/", f"{OLD}/")
    put_back()


def offers_starttls(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
                smtp.ehlo()
                return smtp.has_extn("starttls")
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_second_instance_is_protected_and_the_first_stays_as_it_is(second):
    first = picture()
    assert not offers_starttls(2526)
    made = {"key_type": "ecdsa"}
    succeed("smtp_tls_cert", config_dir=OUT, provider="self_signed", self_signed=made, use=["server"])
    result = succeed("smtp_tls_mode", config_dir=OUT, profile="lenient_default")
    assert [seen["listener"] for seen in result["proof"]] == ["127.0.0.1:2526"]
    assert offers_starttls(2526)
    assert not succeed("smtp_tls_mode", config_dir=OUT, profile="lenient_default")["changed"]
    domains = [{"name": "partner.example", "route": "[mx.partner.example]", "level": "encrypt"}]
    succeed("smtp_domain_policy", config_dir=OUT, domains=domains)
    assert f"{OUT}/smtp_hardening/domains/1" in sh("postconf", "-c", OUT, "-h", "smtp_tls_policy_maps")
    assert picture() == first
    assert answers()


def test_a_bad_change_of_the_second_instance_is_undone_there(second):
    first, before = picture(), picture(OUT)
    sentence = refuse("smtp_settings", config_dir=OUT, parameters={"smtpd_recipient_restrictions": "bogus"})
    assert "2526/inet answers '451 4.3.5 Server configuration error'" in sentence
    assert (picture(), picture(OUT)) == (first, before)


def test_an_instance_that_was_changed_and_killed_is_healed_by_its_own_next_run(second):
    fault = ["strace", "--quiet=all", "-o/dev/null", "-etrace=renameat", "-einject=renameat:signal=KILL:when=5"]
    options = {"config_dir": OUT, "parameters": {"smtpd_banner": "out ESMTP"}}
    assert run("smtp_settings", options, before=fault).rc != 0
    assert run("smtp_tls_info", {}).data["interrupted"] is None
    assert run("smtp_settings", options).data["interrupted"]["module"] == "smtp_settings"


def test_an_instance_whose_network_services_are_switched_off_has_nothing_to_prove(second):
    sh("postconf", "-c", OUT, "-e", "master_service_disable=inet")
    sh("postfix", "-c", OUT, "reload")
    try:
        assert succeed("smtp_settings", config_dir=OUT, parameters={"smtpd_banner": "quiet ESMTP"})["proof"] == []
    finally:
        sh("postconf", "-c", OUT, "-e", "master_service_disable=")
        sh("postfix", "-c", OUT, "reload")
