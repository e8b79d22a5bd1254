# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import read_allowance
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import (
    read_client_policy,
    read_server_policy,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.services import read_services
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.mode import Wish, plan_mode
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import find_profile
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PINS, apply, is_refused
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import guarded, remedy
from flawed import CHAINS
from pki import authority


def plan(node, profile=None, server=None, client=None, *, services=None, allow_weaker=False):
    wish = Wish(
        find_profile(profile),
        read_server_policy(server),
        read_client_policy(client),
        read_services(services),
        read_allowance(allow_weaker),
    )
    mode = plan_mode(read_state(node.postfix), wish, node.run)
    given = {"ca_file": "trust", "match": "match"}.items()
    said = [item for option, item in given if option in {**(server or {}), **(client or {})}]
    guarded(node, mode.plan, allow_weaker, said=said)
    return mode


def test_only_the_parameters_behind_the_options_are_set(tls_node):
    mode = plan(tls_node, server={"minimum_protocol": "TLSv1.2"})
    assert mode.plan.set == {"smtpd_tls_protocols": ">=TLSv1.2", "smtpd_tls_mandatory_protocols": ">=TLSv1.2"}


def test_offering_starttls_without_a_certificate_is_not_met(node):
    assert "no certificate is active for the server" in plan(node, "lenient_default").unmet


def test_a_chain_file_whose_key_does_not_match_is_not_met(tls_node, issue):
    with open(os.path.join(tls_node.config_dir, "smtp_hardening/certificates/fleet/1.pem"), "wb") as handle:
        handle.write(issue().to_pem().split(b"-----BEGIN CERTIFICATE")[0])
        handle.write(b"-----BEGIN CERTIFICATE" + issue().to_pem().split(b"-----BEGIN CERTIFICATE")[1])
    assert "the private key does not match" in plan(tls_node, "lenient_default").unmet


def test_strict_trusts_the_store_and_is_met_by_a_fleet_certificate(trusting_node):
    mode = plan(trusting_node, "trusted_agents_strict")
    assert mode.unmet is None
    assert mode.plan.set["smtpd_tls_CAfile"].endswith("/smtp_hardening/trust/1.pem")


def test_strict_is_not_met_while_the_ca_is_missing(tls_node):
    assert "cannot be read" in plan(tls_node, "trusted_agents_strict").unmet


def test_connection_reuse_brings_tlsproxy_with_the_chroot_of_smtp(tls_node):
    assert plan(tls_node, client={"connection_reuse": True}).plan.services == (
        "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy",
    )


def test_connection_reuse_finds_a_tlsproxy_that_is_there(tls_node):
    tls_node.services += "tlsproxy unix - - y - 0 tlsproxy\n"
    assert plan(tls_node, client={"connection_reuse": True}).plan.services == ()


def test_a_service_that_overrides_the_level_is_refused_by_name(tls_node):
    tls_node.override("smtp/inet/smtpd_tls_security_level=none")
    with pytest.raises(HardeningError) as refusal:
        plan(tls_node, "lenient_default")
    assert str(refusal.value) == (
        "master.cf: -o overrides undermine what is asked for: smtp/inet has level none instead of may. "
        "Bring these services in line with the option services, or state there that they differ: "
        "services: [{name: smtp/inet, level: none}]."
    )


@pytest.mark.parametrize(
    ("wrapped", "level", "refused"),
    [("yes", "may", True), ("Yes", "none", True), ("yes", "encrypt", False), ("no", "may", False)],
)
def test_a_client_that_begins_with_tls_needs_a_level_that_demands_it(tls_node, wrapped, level, refused):
    tls_node.append(f"smtp_tls_wrappermode = {wrapped}\n")
    if not refused:
        assert plan(tls_node, client={"level": level}).client_after.level.value == level
        return
    with pytest.raises(
        InvalidValue, match=r"^client.level: '\w+' would hold back all mail, .* set client: \{level: encrypt\}"
    ):
        plan(tls_node, client={"level": level})


def test_requiring_starttls_warns_with_the_rfc(tls_node):
    assert any("RFC 3207" in warning for warning in plan(tls_node, server={"level": "encrypt"}).warnings)
    tls_node.services = "smtp unix - - y - - smtp\n"
    assert not any("RFC 3207" in warning for warning in plan(tls_node, server={"level": "encrypt"}).warnings)


@pytest.mark.parametrize(
    ("profile", "warns"), [("trusted_agents_strict", False), ("lenient_default", True), (None, True)]
)
def test_a_profile_that_means_encrypt_does_not_warn_of_it(trusting_node, profile, warns):
    warnings = plan(trusting_node, profile, server={"level": "encrypt"}).warnings
    assert any("RFC 3207" in warning for warning in warnings) is warns


def test_a_combination_with_what_is_there_is_refused(tls_node):
    with pytest.raises(InvalidValue, match="has no effect while server.level is 'none'"):
        plan(tls_node, server={"client_certificates": "require", "ca_file": "/ca.pem"})


def test_a_second_run_of_a_profile_changes_nothing(trusting_node):
    for profile in ("lenient_default", "trusted_agents_strict"):
        first = plan(trusting_node, profile).plan
        assert first.changed
        trusting_node.postfix.edit(first.set, first.unset, ())
        trusting_node.services += "".join(service.partition("=")[2] + "\n" for service in first.services)
        assert not plan(trusting_node, profile).plan.changed


def test_a_value_of_the_task_wins_over_the_profile(trusting_node):
    mode = plan(trusting_node, "trusted_agents_strict", {"minimum_protocol": "TLSv1.2"}, {"connection_reuse": False})
    assert mode.plan.set["smtpd_tls_mandatory_protocols"] == ">=TLSv1.2"
    assert mode.plan.set["smtp_tls_mandatory_protocols"] == ">=TLSv1.3"
    assert mode.plan.set["smtp_tls_connection_reuse"] == "no"
    assert mode.plan.services == ()


def test_postfix_3_5_gets_the_floor_it_understands(old_node):
    mode = plan(old_node, client={"minimum_protocol": "TLSv1.2"})
    assert mode.plan.set["smtp_tls_protocols"] == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


def test_a_plan_shows_the_policies_before_and_after(tls_node):
    mode = plan(tls_node, client={"level": "encrypt"})
    assert (str(mode.client_before.level), str(mode.client_after.level)) == ("none", "encrypt")
    assert mode.server_before == mode.server_after


def test_switching_starttls_off_needs_no_certificate(node):
    assert plan(node, server={"level": "none"}).unmet is None


def test_sending_needs_no_certificate_of_the_server(node):
    assert plan(node, client={"level": "may"}).unmet is None


def test_a_ca_file_without_a_certificate_is_not_met(tls_node, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("not yet")
    mode = plan(tls_node, client={"level": "secure", "ca_file": str(path)})
    assert mode.unmet == (
        f"client.ca_file: {path}: holds no certificate in PEM; give one that begins with BEGIN CERTIFICATE."
    )


def test_strict_names_every_side_whose_certificate_will_not_do(trusting_node, issue):
    path = os.path.join(trusting_node.config_dir, "default.pem")
    with open(path, "wb") as handle:
        handle.write(issue(by="itself").to_pem())
    trusting_node.write(f"smtpd_tls_chain_files = {path}\n")
    assert plan(trusting_node, "trusted_agents_strict").unmet == (
        f"profile: trusted_agents_strict cannot be switched on: the server certificate in {path} is self-signed; "
        f"the server certificate in {path} is not issued by a CA in ca_file that is valid; no certificate is active for the client; "
        "run smtp_tls_cert with provider: own_ca (or pem) and use: [server, client] first."
    )


def test_strict_is_not_met_by_a_certificate_that_openssl_refuses(trusting_node):
    root = authority("Root")
    trusted = write(trusting_node.store("trust", "2.pem"), root.pem)
    for number, what in enumerate(["an intermediate for names elsewhere", "an intermediate beyond a path length"]):
        leaf, *above = CHAINS[what][0](root, "mx1.example.com")
        content = "".join([leaf.key_pem, leaf.pem, *(ca.pem for ca in above)])
        path = write(trusting_node.store("certificates", "fleet", f"{number + 2}.pem"), content)
        trusting_node.write(f"smtpd_tls_chain_files = {path}\nsmtp_tls_chain_files = {path}\n")
        found = plan(trusting_node, "trusted_agents_strict").unmet
        assert trusted in str(plan(trusting_node, "trusted_agents_strict").plan.set.values())
        for use in ("server", "client"):
            assert re.search(rf"the {use} certificate in {path} is {CHAINS[what][2]}[;,]", found), found


def test_match_alone_goes_to_the_level_that_holds_now(tls_node):
    with open(tls_node.config_dir + "/main.cf", "a", encoding="utf-8") as handle:
        handle.write("smtp_tls_security_level = secure\nsmtp_tls_CAfile = /ca.pem\n")
    mode = plan(tls_node, client={"match": ["mx.partner.example"]})
    assert mode.plan.set["smtp_tls_secure_cert_match"] == "mx.partner.example"


def test_verifying_without_a_ca_is_refused_before_anything_is_planned(tls_node):
    with pytest.raises(InvalidValue) as refusal:
        plan(tls_node, client={"level": "secure"})
    assert str(refusal.value) == (
        "client.ca_file: '' names no CA while client.level is 'secure', so every message would be deferred; "
        "set it to the PEM file of the CA that issued the peers' certificates."
    )


def test_a_weaker_mode_is_refused_with_each_value_unless_that_is_meant(trusting_node):
    strict = plan(trusting_node, "trusted_agents_strict").plan
    trusting_node.postfix.edit(strict.set, strict.unset, strict.services)
    weaker = {
        "server": {"level": "may", "client_certificates": "ignore", "minimum_protocol": "TLSv1.1"},
        "client": {"level": "may", "minimum_protocol": "TLSv1.2"},
    }
    with pytest.raises(HardeningError) as refusal:
        plan(trusting_node, **weaker)
    assert str(refusal.value) == (
        "This would lower protection: server.level from encrypt to may; "
        "server.client_certificates from require to ignore; server.minimum_protocol from TLSv1.3 to TLSv1.1; "
        "client.level from secure to may; client.minimum_protocol from TLSv1.3 to TLSv1.2; "
        + remedy(
            "server.level, server.client_certificates, server.minimum_protocol, client.level, client.minimum_protocol"
        )
    )
    assert plan(trusting_node, **weaker, allow_weaker=True).plan.changed


def test_a_service_is_brought_in_line_in_the_same_plan(tls_node):
    tls_node.services += "submission inet n - y - - smtpd -o smtpd_tls_security_level=may\n"
    server = {"level": "encrypt"}
    with pytest.raises(HardeningError, match="submission/inet has level may instead of encrypt"):
        plan(tls_node, server=server)
    mode = plan(tls_node, server=server, services=[{"name": "submission", "level": "encrypt"}])
    assert mode.plan.overrides == {"submission/inet/smtpd_tls_security_level": "encrypt"}
    tls_node.postfix.edit(mode.plan.set, mode.plan.unset, (), mode.plan.overrides)
    assert not plan(tls_node, server=server, services=[{"name": "submission", "level": "encrypt"}]).plan.changed


def test_a_service_that_would_be_lowered_is_refused_by_its_name(tls_node):
    tls_node.services += "submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt\n"
    wanted = [{"name": "submission", "level": "may"}]
    with pytest.raises(HardeningError, match="lower protection: submission/inet.level from encrypt to may;"):
        plan(tls_node, services=wanted)
    mode = plan(tls_node, services=wanted, allow_weaker=True)
    assert mode.plan.overrides == {"submission/inet/smtpd_tls_security_level": "may"}


def test_deprecated_parameters_that_contradict_go_and_the_others_are_warned_about(tls_node):
    tls_node.append("smtpd_use_tls = no\nsmtpd_enforce_tls = no\nsmtp_use_tls = yes\n")
    mode = plan(tls_node, "lenient_default")
    assert "smtpd_use_tls" in mode.plan.unset
    assert not {"smtpd_enforce_tls", "smtp_use_tls"} & set(mode.plan.unset)
    assert [w for w in mode.warnings if "smtpd_enforce_tls = no is deprecated" in w]
    assert [w for w in mode.warnings if "smtp_use_tls = yes is deprecated" in w]


def test_an_override_without_effect_is_warned_about(tls_node):
    tls_node.override("smtp/inet/smtpd_tls_session_cache_database=btree:/x")
    assert [w for w in plan(tls_node, "lenient_default").warnings if "belongs to tlsmgr(8)" in w]


# Beside records of domains.

ASKS = "smtpd_tls_security_level = may\nsmtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = /etc/ssl/ca.pem\n"
DEMANDS = [{"client_certificates": "require"}, {"pins": PINS[:1]}]


@pytest.mark.parametrize("incoming", DEMANDS)
def test_a_server_goes_on_asking_for_certificates_that_domains_must_show(tls_node, incoming):
    tls_node.append(ASKS)
    record = {"name": "agency.example", "incoming": incoming}
    apply(tls_node, record)
    with pytest.raises(InvalidValue) as refusal:
        plan(tls_node, server={"client_certificates": "ignore"}, allow_weaker=True)
    assert str(refusal.value) == (
        "server.client_certificates: 'ignore' would refuse all mail from domains whose records demand "
        f"{'pins' if 'pins' in incoming else 'certificate'}; leave it on, or take incoming out of these records first "
        "(smtp_domain_policy)."
    )
    assert plan(tls_node, server={"client_certificates": "request"}).server_after.client_certificates == "request"
    apply(tls_node, {"name": "agency.example", "state": "absent"}, allow_weaker=True)
    assert plan(tls_node, server={"client_certificates": "ignore"}, allow_weaker=True).plan.changed


def test_a_server_may_stop_asking_where_domains_need_tls_alone(tls_node):
    tls_node.append(ASKS)
    apply(tls_node, {"name": "tls.example", "incoming": {}})
    assert plan(tls_node, server={"client_certificates": "ignore"}, allow_weaker=True).plan.changed


def test_a_server_goes_on_offering_the_tls_that_domains_must_use(tls_node):
    tls_node.append(ASKS)
    apply(tls_node, {"name": "tls.example", "incoming": {}})
    server = {"level": "none", "client_certificates": "ignore"}
    assert is_refused(lambda: plan(tls_node, server=server, allow_weaker=True))


@pytest.mark.parametrize("incoming", DEMANDS)
def test_a_service_goes_on_asking_for_certificates_that_domains_must_show(tls_node, incoming):
    tls_node.append(ASKS)
    tls_node.services += "submission inet n - y - - smtpd\n"
    apply(tls_node, {"name": "agency.example", "incoming": incoming})
    services = [{"name": "submission", "client_certificates": "ignore"}]
    assert is_refused(lambda: plan(tls_node, services=services, allow_weaker=True))


@pytest.mark.parametrize(
    ("profile", "client", "services", "uses"),
    [
        (None, None, None, False),
        (None, {"level": "dane"}, None, True),
        (None, {"level": "dane-only"}, None, True),
        (None, {"level": "encrypt"}, None, False),
        ("lenient_default", None, None, False),
        ("lenient_default", {"level": "dane"}, None, True),
        ("trusted_agents_strict", None, None, False),
        (None, None, [{"name": "relay", "type": "unix", "level": "dane"}], True),
        (None, {"level": "may"}, [{"name": "relay", "type": "unix", "level": "dane-only"}], True),
        (None, {"level": "may"}, [{"name": "relay", "type": "unix", "level": "secure"}], False),
        (None, None, [{"name": "submission", "level": "encrypt"}], False),
    ],
)
def test_a_wish_for_dane_is_one_wherever_it_stands(profile, client, services, uses):
    wish = Wish(find_profile(profile), read_server_policy(None), read_client_policy(client), read_services(services))
    assert wish.uses_dane is uses


UNREADABLE = (
    "server.ca_file: '/nowhere/ca.pem' cannot be read (No such file or directory); "
    "put the PEM file of the CA there first, as smtp_tls_cert with provider: own_ca does."
)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"level": "may"},
            "server.level: may offers STARTTLS but no certificate is active for the server; "
            "run smtp_tls_cert with use: [server] first.",
        ),
        ({"level": "none", "ca_file": "/nowhere/ca.pem"}, UNREADABLE),
        ({"level": "none"}, None),
    ],
)
def test_what_is_not_there_yet_is_named_with_the_task_that_brings_it(node, given, sentence):
    assert plan(node, server=given).unmet == sentence


@pytest.mark.parametrize(
    ("server", "client", "warnings"),
    [
        ({"level": "may"}, {"level": "encrypt"}, ()),
        (
            {"level": "encrypt"},
            {},
            (
                "server.level: encrypt refuses clients without STARTTLS on every smtpd service; RFC 3207 section 4 "
                "forbids that on a server that receives mail from the Internet.",
            ),
        ),
        (
            {},
            {"level": "verify", "ca_file": "/etc/ca.pem"},
            (
                "client.level: verify trusts the names of mail exchangers from insecure DNS, so whoever forges DNS "
                "chooses the name that is verified (postconf(5)); prefer secure.",
            ),
        ),
    ],
)
def test_a_level_that_promises_more_than_it_holds_is_warned_of(tls_node, server, client, warnings):
    assert plan(tls_node, server=server, client=client).warnings == warnings


@pytest.mark.parametrize(
    ("services", "chroot"), [("smtp unix - - n - - smtp\n", "n"), ("smtp inet n - y - - smtpd\n", "-")]
)
def test_tlsproxy_is_chrooted_as_smtp_is_and_as_postfix_likes_where_there_is_none(tls_node, services, chroot):
    tls_node.services = services
    assert plan(tls_node, client={"connection_reuse": True}).plan.services == (
        f"tlsproxy/unix=tlsproxy unix - - {chroot} - 0 tlsproxy",
    )
