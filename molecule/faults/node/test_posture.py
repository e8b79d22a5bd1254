# SPDX-License-Identifier: GPL-3.0-or-later
"""Protection that another parameter, another module or another spelling could take away: what was seen to break it once."""

import pytest
from conftest import picture, refuse, run, sh, succeed

pytestmark = pytest.mark.sampled("posture")

MODE, SETTINGS, DOMAINS = "smtp_tls_mode", "smtp_settings", "smtp_domain_policy"
BANK = {"name": "bank.example", "level": "secure"}


@pytest.fixture
def trusting():
    """A node that knows a CA, as records at level secure need one."""
    sh("postconf", "-e", "smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt")


def set_up(*assignments):
    sh("postconf", "-e", *assignments)
    sh("postfix", "reload")


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("parameters", "by"),
    [
        ({"relayhost": "[192.0.2.25]"}, "relayhost"),
        ({"relayhost": "[127.0.0.2]:2525"}, "relayhost"),
        ({"default_transport": "smtp:[192.0.2.25]:25"}, "default_transport"),
        (
            {"sender_dependent_relayhost_maps": "inline:{ { a@b.example = [192.0.2.25] } }"},
            "sender_dependent_relayhost_maps",
        ),
        (
            {"sender_dependent_default_transport_maps": "static:smtp:[192.0.2.25]"},
            "sender_dependent_default_transport_maps",
        ),
        ({"smtp_fallback_relay": "[192.0.2.25]"}, "smtp_fallback_relay"),
    ],
)
def test_no_other_parameter_takes_a_record_out_of_force(trusting, parameters, by):
    succeed(DOMAINS, domains=[BANK])
    before = picture()
    said = refuse(SETTINGS, parameters=parameters, allow_weaker=True)
    assert said.startswith("domains: bank.example has level secure, but ") and by in said
    assert picture() == before
    foreseen = run(SETTINGS, {"parameters": parameters}, check_mode=True).data
    assert foreseen.get("failed") or said in str(foreseen["warnings"])


def test_a_record_with_a_route_holds_beside_a_smarthost(trusting):
    succeed(DOMAINS, domains=[{**BANK, "route": "[mx.bank.example]"}])
    assert succeed(SETTINGS, parameters={"relayhost": "[192.0.2.25]"})["changed"]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("found", "then", "lowered"),
    [
        (
            [
                *("smtp_tls_security_level=dane", "smtp_dns_support_level=dnssec", "smtp_host_lookup=dns"),
                *("smtp_tls_protocols=>=TLSv1.3", "smtp_tls_mandatory_protocols=>=TLSv1.2"),
            ],
            {"client": {"minimum_protocol": "TLSv1.2"}},
            "client.opportunistic_protocol from TLSv1.3 to TLSv1.2",
        ),
        (["smtp_tls_security_level=Encrypt"], {"client": {"level": "may"}}, "client.level from encrypt to may"),
        (["smtpd_tls_security_level=ENCRYPT"], {"server": {"level": "may"}}, "server.level from encrypt to may"),
        (
            ["smtp_tls_security_level=may", "smtp_tls_protocols=TLSv1.3", "smtp_tls_mandatory_protocols=tlsv1.3"],
            {"client": {"minimum_protocol": "TLSv1.2"}},
            "client.minimum_protocol from TLSv1.3 to TLSv1.2",
        ),
        (
            ["smtp_tls_security_level=may", "smtp_tls_mandatory_protocols=>=0304"],
            {"client": {"minimum_protocol": "TLSv1.2"}},
            "client.mandatory_protocol from TLSv1.3 to TLSv1.2",
        ),
        (
            ["smtp_tls_security_level=may", "smtp_tls_ciphers=high"],
            {"client": {"ciphers": "medium"}},
            "client.ciphers from high",
        ),
    ],
)
def test_values_are_compared_as_postfix_reads_them(found, then, lowered):
    set_up(*found)
    assert lowered in refuse(MODE, **then)
    assert run(MODE, then, check_mode=True).data["failed"]


@pytest.mark.sampled
@pytest.mark.parametrize(
    "parameters",
    [
        {"smtp_dns_support_level": "enabled"},
        {"smtp_host_lookup": "native"},
        {"ignore_mx_lookup_error": True},
        {"smtp_dns_support_level": "", "disable_dns_lookups": True},
        {"tls_dane_digests": ""},
        {"tls_dane_digests": "sha512"},
    ],
)
def test_dane_keeps_what_it_needs(parameters):
    set_up("smtp_dns_support_level=dnssec", "smtp_tls_security_level=dane", "smtp_host_lookup=dns")
    assert "client.level from dane to may" in refuse(SETTINGS, parameters=parameters)
    if "" not in parameters.values():
        service = {"name": "smtp/unix", "parameters": parameters}
        assert "smtp/unix.level from dane to may" in refuse(SETTINGS, services=[service])


def test_a_service_does_not_leave_the_policies_of_others(trusting):
    succeed(DOMAINS, domains=[BANK])
    said = refuse(SETTINGS, services=[{"name": "smtp/unix", "parameters": {"smtp_tls_policy_maps": ""}}])
    assert (
        "bank.example has level secure, but the service smtp/unix does not find that in its smtp_tls_policy_maps"
        in said
    )


def test_what_may_fall_can_be_listed():
    set_up("smtp_tls_security_level=encrypt", "smtpd_tls_security_level=encrypt")
    both = {"client": {"level": "may"}, "server": {"level": "may"}}
    assert "server.level" in refuse(MODE, **both, allow_weaker=["client.level"])
    done = succeed(MODE, **both, allow_weaker=["client.level", "server"])
    assert [item["name"] for item in done["lowered"]] == ["server.level", "client.level"]


def test_stricter_ciphers_than_a_profiles_stay_unless_they_may_fall():
    set_up("smtpd_tls_security_level=may", "smtpd_tls_ciphers=high", "smtpd_tls_exclude_ciphers=aNULL:RC4")
    done = succeed(MODE, profile="lenient_default")
    assert done["kept"] == {"server.ciphers": "high", "server.exclude_ciphers": "aNULL, RC4"}
    assert sh("postconf", "-h", "smtpd_tls_ciphers", "smtpd_tls_exclude_ciphers") == "high\naNULL, RC4\n"
    assert not succeed(MODE, profile="lenient_default")["changed"]
    done = succeed(MODE, profile="lenient_default", allow_weaker=["server.ciphers", "server.exclude_ciphers"])
    assert sh("postconf", "-h", "smtpd_tls_ciphers", "smtpd_tls_exclude_ciphers") == "medium\n\n"


@pytest.mark.parametrize("demanding", [{"client": {"level": "encrypt"}}, {"domains": [{**BANK, "level": "encrypt"}]}])
def test_no_header_lowers_what_is_mandatory_unless_a_task_says_so(demanding):
    if "tls_required_enable" not in sh("postconf", "-d"):
        pytest.skip("Postfix knows this header from 3.10 on")
    module = MODE if "client" in demanding else DOMAINS
    succeed(module, **demanding)
    assert sh("postconf", "-h", "tls_required_enable") == "no\n"
    assert "tls_required_enable from no to yes" in refuse(SETTINGS, parameters={"tls_required_enable": True})
    leave = {"client": {"tls_required_no": True}} if module == MODE else {"domains": [], "tls_required_no": True}
    assert succeed(module, **leave)["lowered"]
    assert sh("postconf", "-h", "tls_required_enable") == "yes\n"


SINK = "192.0.2.25"


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"services": [{"name": "rewrite/unix", "parameters": {"default_transport": f"lmtp:inet:{SINK}:24"}}]},
            "bank.example",
        ),
        ({"services": [{"name": "rewrite/unix", "parameters": {"relayhost": f"[{SINK}]"}}]}, "bank.example"),
        ({"services": [{"name": "smtp/unix", "parameters": {"fallback_relay": f"[{SINK}]"}}]}, "bank.example"),
        (
            {"parameters": {"mailbox_transport": f"lmtp:inet:{SINK}:24", "mydestination": "$myhostname, bank.example"}},
            "bank.example",
        ),
        (
            {
                "parameters": {
                    "mailbox_transport_maps": f"static:{{lmtp:inet:{SINK}:24}}",
                    "mydestination": "$myhostname, bank.example",
                }
            },
            "bank.example",
        ),
        (
            {
                "parameters": {
                    "virtual_mailbox_domains": "unionmap:{static:all}",
                    "virtual_transport": f"lmtp:inet:{SINK}:24",
                }
            },
            "bank.example",
        ),
        ({"parameters": {"default_transport": f"lmtp:inet:{SINK}:24"}}, "bank.example"),
        ({"parameters": {"smtp_discard_ehlo_keywords": "StartTLS"}}, "client.level from may to none"),
        ({"parameters": {"smtp_never_send_ehlo": True}}, "client.level from may to none"),
        ({"parameters": {"smtp_reply_filter": "regexp:{{/^250.STARTTLS/ 250-X}}"}}, "client.policy from nothing"),
        ({"parameters": {"tls_medium_cipherlist": "eNULL:aNULL@SECLEVEL=0"}}, "tls_medium_cipherlist"),
        (
            {
                "services": [
                    {"name": "smtp/unix", "parameters": {"smtp_tls_policy_maps": "inline:{other.example=none}"}}
                ]
            },
            "other.example",
        ),
        (
            {
                "parameters": {
                    "smtpd_relay_restrictions": "check_client_access static:permit, reject_unauth_destination",
                    "smtpd_recipient_restrictions": "",
                }
            },
            "server.relay_exceptions",
        ),
        (
            {"parameters": {"smtpd_relay_restrictions": "Permit, reject", "smtpd_recipient_restrictions": ""}},
            "server.relay from",
        ),
        (
            {
                "parameters": {
                    "smtpd_restriction_classes": "open",
                    "open": "permit",
                    "smtpd_relay_restrictions": "open, reject_unauth_destination",
                    "smtpd_recipient_restrictions": "",
                }
            },
            "server.relay from refused to strangers to open to strangers",
        ),
        (
            {"parameters": {"smtpd_authorized_xclient_hosts": "0.0.0.0/0"}},
            "server.client_addresses from nothing to XCLIENT",
        ),
        ({"services": [{"name": "rewrite/unix", "parameters": {"relay_domains": "static:all"}}]}, "server.relay from"),
        (
            {"parameters": {"mynetworks": "127.0.0.0/8 cidr:/etc/postfix/nets"}},
            "server.relay_networks from nothing to cidr:",
        ),
        (
            {
                "services": [
                    {
                        "name": "smtpd/pass",
                        "command": "smtpd",
                        "parameters": {
                            "smtpd_relay_restrictions": "check_client_access,static:OK,reject_unauth_destination",
                            "smtpd_recipient_restrictions": "",
                        },
                    }
                ]
            },
            "smtpd/pass.relay_exceptions from nothing to static:OK",
        ),
        (
            {
                "parameters": {
                    "relay_clientcerts": "static:ok",
                    "smtpd_relay_restrictions": "permit_tls_clientcerts, reject_unauth_destination",
                    "smtpd_recipient_restrictions": "",
                }
            },
            "server.relay_exceptions from nothing to permit_tls_clientcerts",
        ),
        (
            {"parameters": {"smtpd_discard_ehlo_keyword_address_maps": "cidr:{{203.0.113.0/24 starttls}}"}},
            "server.starttls from nothing to smtpd_discard_ehlo_keyword_address_maps",
        ),
        ({"parameters": {"smtpd_discard_ehlo_keywords": "starttls"}}, "server.level from may to none"),
        ({"parameters": {"best_mx_transport": f"lmtp:inet:{SINK}:24"}}, "bank.example"),
        (
            {"parameters": {"header_checks": f"static:{{FILTER lmtp:inet:{SINK}:24}}"}},
            f"FILTER lmtp:inet:{SINK}:24 in header_checks.level from may to none",
        ),
        (
            {"services": [{"name": "smtp/inet", "parameters": {"smtpd_proxy_filter": f"{SINK}:10025"}}]},
            "smtpd_proxy_filter of smtp/inet.level from may to none",
        ),
        (
            {"services": [{"name": "smtp/unix", "parameters": {"smtp_tls_CAfile": "/nowhere.pem"}}]},
            "smtp/unix.level from may to none",
        ),
        (
            {
                "services": [
                    {
                        "name": "rewrite/unix",
                        "parameters": {"relay_domains": "other.example", "relay_transport": f"lmtp:inet:{SINK}:24"},
                    }
                ]
            },
            "domain other.example.level from may to none",
        ),
        (
            {
                "parameters": {"own": "regexp:{ {/@shop[.]example/ error:} }"},
                "services": [{"name": "rewrite/unix", "parameters": {"transport_maps": "$own"}}],
            },
            "client.routes from nothing to transport_maps = regexp:",
        ),
        (
            {"parameters": {"header_checks": f"unionmap:{{static:{{FILTER lmtp:inet:{SINK}:24}}}}"}},
            f"FILTER lmtp:inet:{SINK}:24 in header_checks.level from may to none",
        ),
    ],
)
def test_what_a_reviewer_has_found_open_is_closed(trusting, asked, said):
    sh("postconf", "-e", "smtp_tls_security_level=may")
    sh("postfix", "reload")
    succeed(DOMAINS, domains=[BANK])
    assert said in refuse(SETTINGS, **asked)


def test_a_name_that_a_service_overrides_counts_where_other_values_name_it():
    sh("postconf", "-e", "lmtp_tls_security_level=$lvl", "lvl=encrypt")
    sh("postfix", "reload")
    said = refuse(SETTINGS, services=[{"name": "lmtp/unix", "parameters": {"lvl": "none"}}])
    assert "lmtp/unix.level from encrypt to none" in said


def test_of_two_entries_for_a_service_the_last_counts():
    with open("/etc/postfix/master.cf", "a") as handle:
        handle.write("slow unix - - n - - smtp -o smtp_tls_security_level=encrypt\nslow unix - - n - - smtp\n")
    set_up("default_transport=slow", "smtp_tls_security_level=none")
    assert succeed("smtp_tls_info")["posture"]["ways"]["other mail"]["level"] == "none"


def test_what_postfix_could_not_read_is_told_as_what_was_asked_for():
    before = picture()
    said = refuse(SETTINGS, parameters={"own": "pcre:{ {/x$/ y} }", "relayhost": "$own"})
    assert said.startswith("Postfix could not read what is asked for: ") and "It was so before" not in said
    assert picture() == before
