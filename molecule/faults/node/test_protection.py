# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that differ, the ratchet, and parameters of older releases."""

import smtplib

import pytest
from conftest import configuration, picture, refuse, run, sh, succeed

pytestmark = pytest.mark.sampled("protection")

MODE = "smtp_tls_mode"
ENCRYPT = {"server": {"level": "encrypt"}}


@pytest.fixture
def submission():
    """A submission service that an operator once opened, with a level of its own."""
    sh("postconf", "-Me", "2587/inet=2587 inet n - y - - smtpd -o smtpd_tls_security_level=may")
    sh("postfix", "reload")
    return "2587/inet"


def plaintext_reply(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        smtp.ehlo()
        return smtp.mail("")[0]


def test_a_service_that_undermines_what_is_asked_fails_the_task_by_name(submission):
    before = picture()
    sentence = refuse(MODE, **ENCRYPT)
    assert f"{submission} has level may instead of encrypt" in sentence and "option services" in sentence
    assert picture() == before


def test_the_option_services_brings_a_service_in_line(submission):
    succeed(MODE, **ENCRYPT, services=[{"name": "2587", "level": "encrypt"}])
    assert plaintext_reply(2587) == 530
    assert plaintext_reply(25) == 530


def test_the_option_services_states_an_exception_which_holds_on_the_wire(submission):
    succeed(MODE, **ENCRYPT, services=[{"name": "2587", "level": "may"}])
    assert plaintext_reply(2587) == 250
    assert plaintext_reply(25) == 530


def test_check_mode_shows_the_service_in_the_diff_and_changes_nothing(submission):
    before = picture()
    result = run(MODE, {**ENCRYPT, "services": [{"name": "2587", "level": "encrypt"}]}, check_mode=True).data
    shown = next(part for part in result["diff"] if part["after_header"].endswith("master.cf"))
    assert shown["before"] == "2587/inet/smtpd_tls_security_level = may\n"
    assert shown["after"] == "2587/inet/smtpd_tls_security_level = encrypt\n"
    assert picture() == before


def test_wrapper_mode_begins_with_tls(submission):
    succeed(MODE, services=[{"name": "2587", "wrapper_mode": True}])
    with smtplib.SMTP_SSL("127.0.0.1", 2587, timeout=10) as smtp:
        assert smtp.ehlo()[0] == 250


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("first", "then", "lowered"),
    [
        ({"server": {"level": "may"}}, {"server": {"level": "none"}}, "server.level from may to none"),
        ({"server": {"level": "encrypt"}}, {"server": {"level": "may"}}, "server.level from encrypt to may"),
        ({"client": {"level": "encrypt"}}, {"client": {"level": "may"}}, "client.level from encrypt to may"),
        ({"client": {"level": "encrypt"}}, {"client": {"level": "none"}}, "client.level from encrypt to none"),
        (
            {"server": {"minimum_protocol": "TLSv1.3"}},
            {"server": {"minimum_protocol": "TLSv1.2"}},
            "server.minimum_protocol from TLSv1.3 to TLSv1.2",
        ),
        (
            {"client": {"minimum_protocol": "TLSv1.3"}},
            {"client": {"minimum_protocol": "TLSv1.1"}},
            "client.minimum_protocol from TLSv1.3 to TLSv1.1",
        ),
        (
            {"server": {"client_certificates": "request"}},
            {"server": {"client_certificates": "ignore"}},
            "server.client_certificates from request to ignore",
        ),
        (
            {"server": {"level": "encrypt", "minimum_protocol": "TLSv1.3"}},
            {"profile": "lenient_default"},
            "server.level from encrypt to may; server.minimum_protocol from TLSv1.3 to TLSv1.2",
        ),
    ],
)
def test_protection_is_lowered_only_when_somebody_says_so(first, then, lowered):
    succeed(MODE, **first)
    before = picture()
    names = ", ".join(item.partition(" from ")[0] for item in lowered.split("; "))
    assert refuse(MODE, **then) == (
        f"This would lower protection: {lowered}; set allow_weaker: true if that is meant, or allow_weaker: [{names}] for that alone."
    )
    assert run(MODE, then, check_mode=True).data["failed"]
    assert picture() == before
    assert succeed(MODE, **then, allow_weaker=True)["changed"]


def test_a_domains_policy_is_lowered_only_when_somebody_says_so():
    def wish(level):
        return {"domains": [{"name": "partner.example", "level": level}]}

    succeed("smtp_domain_policy", **wish("encrypt"))
    for weaker in (
        wish("none"),
        {"domains": [{"name": "partner.example", "state": "absent"}]},
        {"domains": [], "exclusive": True},
    ):
        assert "domain partner.example.level from encrypt to" in refuse("smtp_domain_policy", **weaker)
    succeed("smtp_domain_policy", **wish("may"), allow_weaker=True)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("parameter", "value", "asked", "goes"),
    [
        ("smtpd_use_tls", "no", {"server": {"level": "may"}}, True),
        ("smtpd_use_tls", "yes", {"server": {"level": "may"}}, False),
        ("smtpd_enforce_tls", "no", {"server": {"level": "encrypt"}}, True),
        ("smtpd_enforce_tls", "no", {"server": {"level": "may"}}, False),
        ("smtp_use_tls", "no", {"client": {"level": "encrypt"}}, True),
        ("smtp_use_tls", "yes", {"client": {"level": "may"}}, False),
        ("smtp_enforce_tls", "no", {"client": {"level": "encrypt"}}, True),
        ("smtp_tls_per_site", "static:none", {"client": {"level": "encrypt"}}, True),
        ("smtp_tls_per_site", "static:may", {"client": {"level": "may"}}, False),
        ("smtpd_tls_eecdh_grade", "none", {"server": {"level": "may"}}, True),
        ("smtpd_tls_eecdh_grade", "auto", {"server": {"level": "may"}}, False),
        ("smtpd_tls_dh1024_param_file", "auto", {"server": {"level": "may"}}, False),
    ],
)
def test_a_deprecated_parameter_goes_when_it_contradicts_and_is_reported_otherwise(parameter, value, asked, goes):
    sh("postconf", "-e", f"{parameter}={value}")
    result = succeed(MODE, **asked, allow_weaker=True)
    assert (parameter not in configuration()[0]) == goes
    assert (f"{parameter} = {value}\n" in "".join(part["before"] for part in result["diff"])) == goes
    assert any(f"main.cf: {parameter} = {value} is deprecated" in str(w) for w in result.get("warnings", ())) != goes
