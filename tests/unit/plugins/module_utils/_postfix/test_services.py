# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import (
    ClientPolicy,
    ServerPolicy,
    read_client_policy,
    read_server_policy,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.services import read_services
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import services
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import plan_parameters

MASTER_CF = (
    "smtp inet n - y - - smtpd\n"
    "submission inet n - y - - smtpd\n"
    "465 inet n - y - - smtpd\n"
    "10025 inet n - y - 1 postscreen\n"
    "smtp unix - - y - - smtp\n"
    "relay unix - - y - - smtp\n"
    "lmtp unix - - y - - lmtp\n"
    "cleanup unix n - y - 0 cleanup\n"
)
STRICT = {"level": "encrypt", "client_certificates": "require", "minimum_protocol": "TLSv1.3", "ca_file": "/ca.pem"}
STRICT_MAIN_CF = (
    "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\nsmtpd_tls_mandatory_protocols = >=TLSv1.3\n"
    "smtpd_tls_protocols = >=TLSv1.3\nsmtpd_tls_CAfile = /ca.pem\n"
)


@pytest.fixture
def mixed(node):
    """A node with servers and clients of every kind."""
    node.services = MASTER_CF
    return node


def check(node, *task, **more):
    """What stands in the way of ``server`` and ``client``, which main.cf says already; ``None`` for nothing."""
    said = refusal(node, *task, **more)
    return said and re.split(r"(?<=\.) (?=Bring these|Take out)", said)[0]


def refusal(node, overrides, server=None, client=None, wanted=()):
    """The same with what to do about it."""
    node.override(*overrides)
    named = read_services(wanted)
    plan = plan_parameters(node.state, {}, overrides=services.service_overrides(node.state, named))
    asked = (read_server_policy(server), read_client_policy(client))
    try:
        services.check_services(node.state, plan, asked, named)
    except HardeningError as problem:
        return str(problem)
    return None


def sentence(*found):
    return f"master.cf: -o overrides undermine what is asked for: {'; '.join(found)}."


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("submission/inet/smtpd_tls_security_level=none", "submission/inet has level none instead of encrypt"),
        (
            "submission/inet/smtpd_tls_mandatory_protocols=>=TLSv1.2",
            "submission/inet has minimum_protocol TLSv1.2 instead of TLSv1.3",
        ),
        (
            "465/inet/smtpd_tls_req_ccert=no",
            "465/inet has client_certificates ignore instead of require",
        ),
        ("465/inet/smtpd_tls_CAfile=", "465/inet has ca_file not set instead of /ca.pem"),
        ("465/inet/smtpd_tls_CAfile=/other.pem", "465/inet has ca_file /other.pem instead of /ca.pem"),
        ("10025/inet/smtpd_tls_security_level=none", "10025/inet has level none instead of encrypt"),
        (
            "smtp/inet/smtpd_tls_mandatory_protocols=TLSv1.4",
            "smtp/inet has minimum_protocol not set instead of TLSv1.3",
        ),
    ],
)
def test_an_override_that_undermines_the_server_is_refused_by_its_service(mixed, override, found):
    mixed.write(STRICT_MAIN_CF)
    assert check(mixed, [override], server=STRICT) == sentence(found)


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("relay/unix/smtp_tls_security_level=may", ["relay/unix has level may instead of secure"]),
        ("relay/unix/smtp_tls_security_level=none", ["relay/unix has level none instead of secure"]),
        (
            "relay/unix/smtp_tls_secure_cert_match=.example",
            ["relay/unix has match .example instead of mx.example"],
        ),
        ("smtp/unix/smtp_tls_exclude_ciphers=RC4", ["smtp/unix has exclude_ciphers RC4 instead of aNULL"]),
        ("smtp/unix/smtp_tls_exclude_ciphers=aNULL,RC4", []),
        ("smtp/unix/smtp_tls_connection_reuse=no", []),
    ],
)
def test_an_override_that_undermines_the_client_is_refused_by_its_service(mixed, override, found):
    mixed.write(
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mx.example\nsmtp_tls_CAfile = /ca.pem\n"
        "smtp_tls_exclude_ciphers = aNULL\nsmtp_tls_connection_reuse = yes\n"
    )
    asked = {"level": "secure", "ca_file": "/ca.pem", "exclude_ciphers": ["aNULL"], "connection_reuse": True}
    if "level" not in override:
        asked["match"] = ["mx.example"]
    assert check(mixed, [override], client=asked) == (sentence(*found) if found else None)


@pytest.mark.parametrize(
    "override",
    [
        "submission/inet/syslog_name=postfix/submission",
        "submission/inet/smtpd_sasl_auth_enable=yes",
        "submission/inet/smtpd_tls_security_level=encrypt",
        "465/inet/smtpd_tls_wrappermode=yes",
        "10025/inet/smtpd_tls_loglevel=2",
        "cleanup/unix/smtpd_tls_security_level=none",
        "lmtp/unix/smtp_tls_security_level=none",
        "relay/unix/smtpd_tls_security_level=none",
        "smtp/inet/smtp_tls_security_level=none",
        "smtp/inet/smtpd_tls_protocols=TLSv1.3",
    ],
)
def test_an_override_that_lowers_nothing_is_harmless(mixed, override):
    mixed.write("smtpd_tls_security_level = may\nsmtp_tls_security_level = may\n")
    assert check(mixed, [override], {"level": "may"}, {"level": "may"}) is None


def test_a_service_without_overrides_is_what_main_cf_says(mixed):
    assert check(mixed, [], server=STRICT) is None


def test_overrides_are_not_looked_at_where_nothing_is_asked(mixed):
    assert check(mixed, ["submission/inet/smtpd_tls_security_level=none"], client={"level": "may"}) is None


def test_every_service_that_falls_short_is_named_in_one_sentence(mixed):
    mixed.write(STRICT_MAIN_CF)
    overrides = ["465/inet/smtpd_tls_security_level=may", "submission/inet/smtpd_tls_mandatory_protocols=>=TLSv1"]
    assert check(mixed, overrides, server=STRICT) == sentence(
        "submission/inet has minimum_protocol TLSv1 instead of TLSv1.3",
        "465/inet has level may instead of encrypt",
        "465/inet has client_certificates request instead of require",
    )


@pytest.mark.parametrize(
    ("override", "wanted", "found"),
    [
        ("submission/inet/smtpd_tls_security_level=may", {"level": "may", "client_certificates": "request"}, []),
        ("submission/inet/smtpd_tls_security_level=may", {"level": "encrypt"}, []),
        (
            "submission/inet/smtpd_tls_security_level=may",
            {"minimum_protocol": "TLSv1.3"},
            [
                "submission/inet has level may instead of encrypt",
                "submission/inet has client_certificates request instead of require",
            ],
        ),
        (
            "465/inet/smtpd_tls_security_level=none",
            {"level": "encrypt", "client_certificates": "require"},
            ["465/inet has level none instead of encrypt"],
        ),
    ],
)
def test_a_service_that_the_task_names_is_what_the_task_says_of_it(mixed, override, wanted, found):
    mixed.write(STRICT_MAIN_CF)
    said = check(mixed, [override], server=STRICT, wanted=[{"name": "submission", **wanted}])
    assert said == (sentence(*found) if found else None)


MATCHING = {"level": "secure", "match": ["mx.example"], "ca_file": "/ca.pem"}


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"level": "secure"}, []),
        ({"level": "may"}, []),
        (
            {"minimum_protocol": "TLSv1.2"},
            [
                "relay/unix has ca_file /other.pem instead of /ca.pem",
                "relay/unix has match .example instead of mx.example",
            ],
        ),
    ],
)
def test_a_level_that_the_task_states_of_a_service_exempts_its_names_and_ca_file(mixed, stated, found):
    mixed.write(
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mx.example\nsmtp_tls_CAfile = /ca.pem\n"
    )
    there = ["relay/unix/smtp_tls_secure_cert_match=.example", "relay/unix/smtp_tls_CAfile=/other.pem"]
    said = check(mixed, there, client=MATCHING, wanted=[{"name": "relay/unix", **stated}])
    assert said == (sentence(*found) if found else None)


def test_a_level_that_is_stated_of_one_service_exempts_no_other(mixed):
    mixed.write(
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mx.example\nsmtp_tls_CAfile = /ca.pem\n"
    )
    there = ["relay/unix/smtp_tls_CAfile=/other.pem", "smtp/unix/smtp_tls_CAfile=/third.pem"]
    said = check(mixed, there, client=MATCHING, wanted=[{"name": "relay/unix", "level": "secure"}])
    assert said == sentence("smtp/unix has ca_file /third.pem instead of /ca.pem")


@pytest.mark.parametrize(
    ("wanted", "overrides"),
    [
        ({"name": "submission", "level": "encrypt"}, {"submission/inet/smtpd_tls_security_level": "encrypt"}),
        (
            {"name": "465", "wrapper_mode": True, "minimum_protocol": "TLSv1.3"},
            {
                "465/inet/smtpd_tls_wrappermode": "yes",
                "465/inet/smtpd_tls_protocols": ">=TLSv1.3",
                "465/inet/smtpd_tls_mandatory_protocols": ">=TLSv1.3",
            },
        ),
        ({"name": "465", "wrapper_mode": False}, {"465/inet/smtpd_tls_wrappermode": "no"}),
        (
            {"name": "submission/inet", "client_certificates": "request"},
            {"submission/inet/smtpd_tls_ask_ccert": "yes", "submission/inet/smtpd_tls_req_ccert": "no"},
        ),
        ({"name": "10025", "level": "may"}, {"10025/inet/smtpd_tls_security_level": "may"}),
        ({"name": "relay/unix", "level": "secure"}, {"relay/unix/smtp_tls_security_level": "secure"}),
        (
            {"name": "smtp/unix", "minimum_protocol": "TLSv1.2"},
            {
                "smtp/unix/smtp_tls_protocols": ">=TLSv1.2",
                "smtp/unix/smtp_tls_mandatory_protocols": ">=TLSv1.2",
            },
        ),
        (
            {"name": "relay/unix", "level": "dane"},
            {
                "relay/unix/smtp_tls_security_level": "dane",
                "relay/unix/smtp_dns_support_level": "dnssec",
                "relay/unix/smtp_tls_dane_insecure_mx_policy": "dane",
            },
        ),
    ],
)
def test_what_is_asked_of_a_service_becomes_its_overrides(mixed, wanted, overrides):
    assert services.service_overrides(mixed.state, read_services([wanted])) == overrides


def test_a_service_of_postfix_3_5_gets_the_floor_it_understands(old_node):
    wanted = read_services([{"name": "smtp", "minimum_protocol": "TLSv1.2"}])
    old_node.postfix.edit({}, overrides=services.service_overrides(old_node.state, wanted))
    assert old_node.state.service("smtp", "inet").overrides["smtpd_tls_protocols"] == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            {"name": "smtp/unix", "wrapper_mode": True},
            "services[smtp/unix].wrapper_mode: 'True' is for servers, and smtp/unix is a client; leave it out.",
        ),
        (
            {"name": "smtp/unix", "client_certificates": "require"},
            "services[smtp/unix].client_certificates: 'require' is for servers, and smtp/unix is a client; leave it out.",
        ),
        (
            {"name": "submission", "level": "secure"},
            "services[submission/inet].level: 'secure' is not known; use one of none, may, encrypt.",
        ),
        (
            {"name": "smtps", "level": "may"},
            "services: 'smtps/inet' speaks no SMTP in master.cf; name one of smtp/inet, submission/inet, "
            "465/inet, 10025/inet, smtp/unix, relay/unix.",
        ),
        (
            {"name": "cleanup/unix", "level": "may"},
            "services: 'cleanup/unix' speaks no SMTP in master.cf; name one of smtp/inet, submission/inet, "
            "465/inet, 10025/inet, smtp/unix, relay/unix.",
        ),
    ],
)
def test_what_a_service_cannot_be_asked_is_refused_in_one_sentence(mixed, wanted, said):
    with pytest.raises(InvalidValue) as refusal:
        services.service_overrides(mixed.state, read_services([wanted]))
    assert str(refusal.value) == said


@pytest.mark.parametrize("demand", ["ignore", "request", "require"])
def test_a_client_takes_no_demand_for_client_certificates(mixed, demand):
    wanted = read_services([{"name": "smtp", "level": "may"}, {"name": "smtp/unix", "client_certificates": demand}])
    with pytest.raises(
        InvalidValue, match=r"^services\[smtp/unix\].client_certificates: .+ smtp/unix is a client; leave it out"
    ):
        services.service_overrides(mixed.state, wanted)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("smtp/inet/smtpd_tls_session_cache_database=btree:/x", "smtpd_tls_session_cache_database"),
        ("relay/unix/smtp_tls_session_cache_database=btree:/x", "smtp_tls_session_cache_database"),
        ("smtp/inet/smtpd_tls_session_cache_timeout=1h", "smtpd_tls_session_cache_timeout"),
        ("smtp/inet/smtpd_tls_security_level=may", None),
        ("smtp/inet/smtp_connection_cache_on_demand=no", None),
    ],
)
def test_a_session_cache_that_a_service_overrides_in_vain_is_reported(mixed, override, named):
    mixed.override(override)
    key = override.rpartition("/")[0] if ":" not in override else "/".join(override.split("/")[:2])
    expected = (
        f"master.cf: {key} overrides {named}, which has no effect there: "
        "the session cache belongs to tlsmgr(8); set it in main.cf."
    )
    assert list(services.ineffective(mixed.state)) == ([expected] if named else [])


def test_a_session_cache_of_tlsmgr_itself_is_in_its_place(mixed):
    mixed.services += "tlsmgr unix - - y 1000? 1 tlsmgr -o smtpd_tls_session_cache_database=btree:/x\n"
    assert list(services.ineffective(mixed.state)) == []


@pytest.mark.parametrize(
    ("overrides", "level", "certificates"),
    [
        ([], "may", "request"),
        (["465/inet/smtpd_tls_wrappermode=no"], "may", "request"),
        (["465/inet/smtpd_tls_wrappermode=yes"], "encrypt", "require"),
        (["465/inet/smtpd_tls_wrappermode=yes", "465/inet/smtpd_tls_security_level=none"], "encrypt", "require"),
    ],
)
def test_wrapper_mode_is_mandatory_tls_whatever_the_level_says(mixed, overrides, level, certificates):
    mixed.write("smtpd_tls_security_level = may\nsmtpd_tls_req_ccert = yes\n")
    mixed.override(*overrides)
    state = mixed.state
    service = state.service("465", "inet")
    policy = services.read_policy(service, state.effective, service.overrides)
    assert (str(policy.level), str(policy.client_certificates)) == (level, certificates)


def test_a_service_is_read_as_the_side_that_it_speaks_for(mixed):
    state = mixed.state
    kinds = {s.key: type(services.read_policy(s, state.effective, {})) for s in state.services[:6]}
    assert kinds == {
        **dict.fromkeys(["smtp/inet", "submission/inet", "465/inet", "10025/inet"], ServerPolicy),
        **dict.fromkeys(["smtp/unix", "relay/unix"], ClientPolicy),
    }
    assert [s.key for s in state.services if s.is_server or services.is_client(s)] == list(kinds)


AMAVIS = "smtp-amavis unix - - n - 2 smtp -o smtp_tls_security_level=none\n127.0.0.1:10025 inet n - n - - smtpd -o smtpd_tls_security_level=none\n"


@pytest.mark.parametrize(
    ("overrides", "tasks", "entries"),
    [
        (
            ["127.0.0.1:10025/inet/smtpd_tls_security_level=none", "smtp-amavis/unix/smtp_tls_security_level=none"],
            {"server": STRICT, "client": {"level": "encrypt"}},
            "[{name: smtp-amavis/unix, level: none}, {name: 127.0.0.1:10025/inet, level: none}]",
        ),
        (
            ["submission/inet/smtpd_tls_security_level=may", "submission/inet/smtpd_tls_protocols=>=TLSv1.2"],
            {"server": STRICT},
            "[{name: submission/inet, level: may, client_certificates: request, minimum_protocol: TLSv1.2}, "
            "{name: 127.0.0.1:10025/inet, level: none}]",
        ),
    ],
)
def test_the_refusal_shows_the_entries_that_state_the_exception_and_they_do(mixed, overrides, tasks, entries):
    mixed.services += AMAVIS
    mixed.write(STRICT_MAIN_CF + "smtp_tls_security_level = encrypt\n")
    said = refusal(mixed, overrides, **tasks)
    assert said.endswith(f"or state there that they differ: services: {entries}.")
    assert refusal(mixed, overrides, **tasks, wanted=yaml.safe_load(entries)) is None


def test_what_no_entry_can_state_is_to_be_taken_out(mixed):
    mixed.write("smtpd_tls_security_level = may\nsmtpd_tls_ciphers = high\n")
    said = refusal(mixed, ["submission/inet/smtpd_tls_ciphers=medium"], server={"level": "may", "ciphers": "high"})
    assert said.endswith("Take out of master.cf: smtpd_tls_ciphers of submission/inet.")
