# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib
import os

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _work
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import resolver
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write

CERTIFICATE = task("self_signed", SMALL, use=["server"])
NOTHING_ELSE = {"where_known": {}, "public_networks": [], "services": [], "secrets": {}, "allow_weaker": False}
SETTINGS = {**NOTHING_ELSE, "parameters": {"myhostname": "mx2.example.com"}, "task": "Name it"}
DOMAINS = {
    "domains": [{"name": "example.com", "local": True}],
    "src": None,
    "exclusive": False,
    "unlisted_senders": None,
    "policy_sources": None,
    "dnssec_test": None,
    "allow_weaker": False,
    "task": "Route it",
}
AUTHOR, TIME = Author("smtp_settings", "Name it"), "2026-11-24T12:00:00Z"
MODE = {"profile": None, "server": None, "client": None, "services": None, "allow_weaker": False, "task": None}
PROBE = {"targets": None, "ca_file": None, "deliver": [], "sender": None, "timeout": 0, "rehearse": "none"}


def load(name):
    return importlib.import_module(f"ansible_collections.mailfleet.smtp_hardening.plugins.modules.{name}")


@pytest.fixture(autouse=True)
def proven(monkeypatch):
    """The wire shows what it should."""
    monkeypatch.setattr(_work, "prove", lambda postfix, started_with: [{"service": "smtp/inet"}])
    monkeypatch.setattr(_work, "prove_twin", lambda twin, services: [])
    monkeypatch.setattr(_work, "check_master", lambda postfix, staged: None)


def run(name, node, options, check_mode=False):
    return load(name).work(node.postfix, options, check_mode)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("smtp_settings", SETTINGS),
        ("smtp_domain_policy", DOMAINS),
        ("smtp_tls_cert", CERTIFICATE),
        ("smtp_tls_mode", {**MODE, "client": {"level": "may"}}),
    ],
)
def test_check_mode_tells_of_a_change_a_run_makes_it_and_a_second_run_has_none(node, name, options):
    before = read_state(node.postfix)
    foreseen = run(name, node, options, check_mode=True)
    assert read_state(node.postfix) == before
    assert not os.path.exists(before.store)
    done = run(name, node, options)
    assert (foreseen["changed"], done["changed"], run(name, node, options)["changed"]) == (True, True, False)
    assert foreseen["pending"] == done["pending"]
    assert (foreseen["proof"], done["proof"]) == ([], [{"service": "smtp/inet"}])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("smtp_settings", SETTINGS),
        ("smtp_domain_policy", DOMAINS),
        ("smtp_tls_cert", CERTIFICATE),
        ("smtp_rollback", {"to": 1, "allow_weaker": False, "task": None}),
        ("smtp_tls_info", {}),
        ("smtp_tls_mode", {**MODE, "client": {"level": "may"}}),
        ("smtp_tls_probe", {**PROBE, "targets": []}),
    ],
)
def test_a_module_returns_what_it_documents(node, name, options):
    history.record(node.config_dir, AUTHOR, TIME, "set: myhostname", True)
    documented = set(yaml.safe_load(load(name).RETURN)) - {"restored", "signing_request", "interrupted"}
    assert documented <= set(run(name, node, options))
    assert set(run(name, node, options)) <= documented | {"changed", "diff", "warnings"}


@pytest.mark.parametrize(
    ("parameters", "needed"),
    [
        ({"myhostname": "mx2.example.com"}, False),
        ({"inet_interfaces": "loopback-only"}, True),
        ({"compatibility_level": "3.9"}, False),
        ({"inet_protocols": None}, False),
    ],
)
def test_a_setting_that_postfix_reads_at_its_start_needs_a_restart(node, parameters, needed):
    assert run("smtp_settings", node, {**SETTINGS, "parameters": parameters})["restart_needed"] is needed


def test_a_mode_whose_certificate_is_missing_warns_in_check_mode_and_fails_in_a_run(node):
    options = {**MODE, "profile": "lenient_default"}
    warnings = run("smtp_tls_mode", node, options, check_mode=True)["warnings"]
    assert any("no certificate is active for the server" in warning for warning in warnings)
    with pytest.raises(HardeningError, match="run smtp_tls_cert with use: \\[server\\] first"):
        run("smtp_tls_mode", node, options)
    assert read_state(node.postfix).explicit == {"compatibility_level": "3.9"}


def test_a_mode_returns_the_policies_before_and_after(tls_node):
    result = run("smtp_tls_mode", tls_node, {**MODE, "server": {"level": "encrypt", "minimum_protocol": "TLSv1.3"}})
    assert result["before"]["server"]["level"] == "none"
    assert result["after"]["server"]["level"] == "encrypt"
    assert result["after"]["server"]["minimum_protocol"] == "TLSv1.3"
    assert result["before"]["client"] == result["after"]["client"]


def test_a_certificate_of_the_ca_is_asked_for_in_a_first_call(node, fleet_ca):
    options = task("own_ca", {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}, use=["server"])
    foreseen = run("smtp_tls_cert", node, options, check_mode=True)
    assert (foreseen["changed"], "signing_request" in foreseen) == (True, False)
    assert not os.path.exists(node.store())
    result = run("smtp_tls_cert", node, options)
    assert result["changed"] is True
    assert sorted(result["signing_request"]) == ["csr", "names"]
    assert "smtpd_tls_chain_files" not in read_state(node.postfix).explicit


def test_domains_are_refused_before_the_node_is_read(node):
    with pytest.raises(InvalidValue, match="^domains\\[0\\]"):
        run("smtp_domain_policy", node, {**DOMAINS, "domains": [{"name": "no name"}]})
    assert node.commands == []


def test_info_tells_what_is_active_and_what_is_stored(tls_node):
    facts = run("smtp_tls_info", tls_node, {})
    assert facts["changed"] is False
    assert facts["postfix_version"] == "3.10.13"
    assert [entry["file"] for entry in facts["active"]["server"]] == [
        f"{tls_node.config_dir}/smtp_hardening/certificates/fleet/1.pem"
    ]
    fleet = facts["certificates"]["fleet"]
    assert [chain["subject_alternative_names"] for chain in fleet["chains"]] == [["mx1.example.com"]]
    assert (fleet["active"], fleet["sni"]) == ({"server": True, "client": True}, [])
    assert (fleet["renewed_by"], fleet["next"]) == (None, None)
    assert [entry["name"] for entry in facts["active"]["server"]] == ["fleet"]
    assert "PRIVATE" not in str(facts)


def test_a_probe_looks_at_a_target_and_sends_nothing_in_check_mode(node, listen, tmp_path):
    server = listen()
    target = {"address": "127.0.0.1", "port": server.port, "name": "mx1.example.com", "implicit_tls": False}
    options = {**PROBE, "targets": [target], "ca_file": str(tmp_path / "fleet-ca.pem"), "deliver": ["a@mx2"]}
    result = run("smtp_tls_probe", node, options, check_mode=True)
    assert result["observations"][0]["verified"] is True
    assert (result["changed"], result["deliveries"]) == (False, [])
    assert not [argv for argv in node.commands if argv[0] == "sendmail"]


def test_a_probe_looks_at_the_nodes_own_listeners_where_no_target_is_named(node, listen):
    server = listen(level="encrypt")
    node.services = f"127.0.0.1:{server.port} inet n - y - - smtpd\n"
    (seen,) = run("smtp_tls_probe", node, PROBE)["observations"]
    assert (seen["listener"], seen["plaintext"]) == (f"127.0.0.1:{server.port}", "refused")


def test_a_probe_sends_as_postmaster_of_the_node(node, tmp_path):
    node.write(f"maillog_file = {tmp_path / 'mail.log'}\nmyhostname = mx7.example.com\n")
    sent = []

    def command(argv, stdin=None):
        sent.append(argv)
        return node.run(argv, stdin) if argv[0] != "sendmail" else Completed(0, "", "")

    options = {**PROBE, "targets": [], "deliver": ["a@mx2"], "timeout": -1}
    result = load("smtp_tls_probe").work(Postfix(command, node.config_dir), options, False)
    assert result["deliveries"][0]["status"] is None
    assert sent[-1][4:6] == ["-f", "postmaster@mx7.example.com"]


def host(node, name):
    return run("smtp_settings", node, {**SETTINGS, "parameters": {"myhostname": name}, "task": f"Call it {name}"})


def test_a_rollback_brings_the_state_before_and_a_second_one_goes_forward_again(node):
    host(node, "mx8")
    host(node, "mx9")
    back = {"to": None, "allow_weaker": False, "task": "Undo it"}
    names = []
    for _turn in range(3):
        result = run("smtp_rollback", node, back)
        assert (result["changed"], result["proof"]) == (True, [{"service": "smtp/inet"}])
        names.append((result["to"]["number"], read_state(node.postfix).explicit["myhostname"]))
    assert names == [(2, "mx8"), (3, "mx9"), (4, "mx8")]


def test_a_rollback_to_the_state_of_now_changes_nothing(node):
    host(node, "mx8")
    before = picture(node.config_dir)
    result = run("smtp_rollback", node, {"to": 2, "allow_weaker": False, "task": None})
    assert (result["changed"], result["to"]["task"]) == (False, "Call it mx8")
    assert picture(node.config_dir) == before


def test_a_rollback_takes_back_what_was_done_by_hand_and_remembers_it(node):
    host(node, "mx8")
    node.append("relayhost = [by.hand.example]\n")
    result = run("smtp_rollback", node, {"to": 1, "allow_weaker": False, "task": None})
    assert result["pending"]["contents"] == ["main.cf"]
    assert read_state(node.postfix).explicit == {"compatibility_level": "3.9"}
    assert [(past.number, past.proven) for past in history.past(node.config_dir)] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
    ]


def test_a_rollback_brings_back_the_certificate_that_its_state_named(node):
    first = run("smtp_tls_cert", node, CERTIFICATE)["chain_file"]
    second = run("smtp_tls_cert", node, {**CERTIFICATE, "self_signed": {**SMALL, "key_size": 384}})
    assert second["chain_file"] != first
    run("smtp_rollback", node, {"to": None, "allow_weaker": False, "task": None})
    assert read_state(node.postfix).explicit["smtpd_tls_chain_files"] == first
    assert os.path.exists(first)


def test_a_rollback_in_check_mode_tells_and_changes_nothing(node):
    host(node, "mx8")
    before = picture(node.config_dir)
    result = run("smtp_rollback", node, {"to": 1, "allow_weaker": False, "task": None}, check_mode=True)
    assert (result["changed"], result["proof"], result["restart_needed"]) == (True, [], False)
    assert picture(node.config_dir) == before


def test_info_lists_the_states_that_a_node_remembers(node):
    host(node, "mx8")
    facts = run("smtp_tls_info", node, {})["history"]
    assert [(state["number"], state["module"], state["task"], state["proven"]) for state in facts] == [
        (1, "-", None, False),
        (2, "smtp_settings", "Call it mx8", True),
    ]
    assert facts[1]["summary"] == "set: myhostname"


def test_info_tells_what_a_certificate_is_used_for_and_what_waits(node):
    run("smtp_tls_cert", node, task("self_signed", SMALL, use=["client"], sni=["mail.example.net"]))
    asked = run("smtp_tls_cert", node, task("csr", SMALL, name="waiting"))
    facts = run("smtp_tls_info", node, {})
    default, waiting = facts["certificates"]["default"], facts["certificates"]["waiting"]
    assert (default["active"], default["sni"]) == ({"server": False, "client": True}, ["mail.example.net"])
    assert facts["sni"] == {"mail.example.net": "default"}
    assert (waiting["chain_file"], waiting["chains"]) == (None, [])
    assert waiting["next"] == asked["next"]
    assert "PRIVATE" not in str(facts)


def test_info_tells_who_renews_a_certificate_and_whom_the_node_trusts(trusting_node, issue, tmp_path):
    chain, pin = issue(), ":".join(["0A"] * 32)
    paths = {"private_key": tmp_path / "live/mx/key.pem", "certificate": tmp_path / "live/mx/chain.pem"}
    write(paths["private_key"], write_key(chain.key))
    write(paths["certificate"], certificates_pem(chain.certificates))
    given = {"tool": "certbot", "hook": True, **{name: str(path) for name, path in paths.items()}}
    options = task("external", given, name="public", trust={"pins": [pin]}, config_dir=trusting_node.config_dir)
    run("smtp_tls_cert", trusting_node, options)
    facts = run("smtp_tls_info", trusting_node, {})
    assert facts["certificates"]["public"]["renewed_by"] == "certbot"
    assert facts["certificates"]["fleet"]["renewed_by"] is None
    assert facts["trust"] == {"ca_file": trusting_node.store("trust", "1.pem"), "pins": [pin]}


@pytest.mark.parametrize(
    "client", [{"profile": "lenient_default"}, {"client": {"level": "encrypt", "match": []}}], ids=["profile", "level"]
)
def test_pinned_keys_and_a_mode_that_matches_nobody_leave_each_other_alone(tls_node, client):
    pinning = task("stored", name="fleet", trust={"pins": [":".join(["0A"] * 32)]})
    run("smtp_tls_cert", tls_node, pinning)
    run("smtp_tls_mode", tls_node, {**MODE, **client})
    assert run("smtp_tls_cert", tls_node, pinning, check_mode=True)["pending"]["set"] == {}


def test_a_domain_whose_demand_nobody_could_meet_warns_in_check_mode_and_fails_in_a_run(node):
    options = {**DOMAINS, "domains": [{"name": "tls.example", "incoming": {}}]}
    (warning,) = run("smtp_domain_policy", node, options, check_mode=True)["warnings"]
    assert warning.startswith(
        "domains: 'tls.example' demands encrypt of incoming mail, but the server offers no STARTTLS"
    )
    with pytest.raises(HardeningError, match="the server offers no STARTTLS"):
        run("smtp_domain_policy", node, options)
    assert read_state(node.postfix).explicit == {"compatibility_level": "3.9"}


@pytest.mark.parametrize(("level", "asked"), [("dane", True), ("dane-only", True), ("encrypt", False)])
def test_a_domain_with_dane_needs_a_resolver_that_validates(node, monkeypatch, level, asked):
    calls = []
    monkeypatch.setattr(resolver, "unmet", lambda state, given: calls.append(given) or "No resolver.")
    names = {"signed": ".", "bogus": "bogus.example"}
    options = {**DOMAINS, "domains": [{"name": "a.example", "level": level}], "dnssec_test": names}
    assert [
        w for w in run("smtp_domain_policy", node, options, check_mode=True)["warnings"] if "No resolver." in w
    ] == (["No resolver. (check mode cannot know whether an earlier task sees to it)"] if asked else [])
    if asked:
        with pytest.raises(HardeningError, match="^No resolver.$"):
            run("smtp_domain_policy", node, options)
    else:
        assert run("smtp_domain_policy", node, options)["changed"]
    assert calls == [names] * (2 if asked else 0)


def test_a_domain_that_has_expired_is_told_with_what_holds_now(node):
    items = [
        {"name": f"{letter}.example", "level": "secure", "route": "[mx.example]", "expires": "2020-01-01"}
        for letter in "abcdefg"
    ]
    result = run("smtp_domain_policy", node, {**DOMAINS, "domains": [*items, {"name": "v.example", "level": "verify"}]})
    assert result["expired"] == [item["name"] for item in items]
    assert [warning.partition(":")[0] for warning in result["warnings"]] == [
        "a.example, b.example, c.example, d.example, e.example and 2 more expired",
        "v.example",
    ]
    assert run("smtp_domain_policy", node, DOMAINS)["expired"] == result["expired"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"unlisted_senders": "refuse"}, "unlisted_senders: 'refuse' is not known; use one of accept, warn, reject."),
        (
            {"policy_sources": ["socketmap:inet:127.0.0.1:8461:postfix", "inline:{ a=b }"]},
            "policy_sources: 'inline:{ a=b }' is not a lookup table; "
            "write type:name, as in socketmap:inet:127.0.0.1:8461:postfix.",
        ),
    ],
)
def test_what_is_asked_beside_domains_is_checked_too(node, given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        run("smtp_domain_policy", node, {**DOMAINS, **given})
    assert str(refusal.value) == sentence
    assert node.commands == []


@pytest.mark.parametrize("unlisted", [None, "accept", "warn"])
def test_unlisted_senders_are_returned(node, unlisted):
    assert run("smtp_domain_policy", node, {**DOMAINS, "unlisted_senders": unlisted})["unlisted_senders"] == (
        unlisted or "accept"
    )


PASSWORDS = {"smtp_sasl_password_maps": {"[mx.provider.example]:587": "ann:pass word"}}
SUBMISSIONS = {
    "name": "submissions",
    "state": "present",
    "command": "smtpd",
    "chroot": None,
    "process_limit": None,
    "parameters": {"smtpd_tls_wrappermode": True},
}
EVERYTHING = {
    **SETTINGS,
    "parameters": {"relayhost": "[mx.provider.example]:587", "mynetworks": ["127.0.0.0/8", "198.51.100.0/24"]},
    "where_known": {"inet_protocols": "ipv4", "smtpd_forbid_bare_newline": True},
    "public_networks": ["198.51.100.0/24"],
    "services": [SUBMISSIONS],
    "secrets": PASSWORDS,
}


def test_settings_of_every_kind_come_in_one_change_that_check_mode_foretells(node):
    before = picture(node.config_dir)
    foreseen = run("smtp_settings", node, EVERYTHING, check_mode=True)
    assert picture(node.config_dir) == before
    done = run("smtp_settings", node, EVERYTHING)
    assert {**foreseen, "proof": done["proof"]} == done
    assert done["restart_needed"] is True
    assert read_state(node.postfix).explicit == {
        "compatibility_level": "3.9",
        "relayhost": "[mx.provider.example]:587",
        "mynetworks": "127.0.0.0/8, 198.51.100.0/24",
        "inet_protocols": "ipv4",
        "smtp_sasl_password_maps": f"hash:{node.store('secrets', '1', 'smtp_sasl_password_maps')}",
    }
    assert "submissions inet n - y - - smtpd -o smtpd_tls_wrappermode=yes\n" in node.services
    after = picture(node.config_dir)
    assert run("smtp_settings", node, EVERYTHING)["changed"] is False
    assert picture(node.config_dir) == after
    assert len(history.past(node.config_dir)) == 2


@pytest.mark.parametrize("check_mode", [True, False])
def test_no_password_is_returned_or_remembered(node, check_mode):
    for value in ("ann:pass word", "ann:other pass", "ann:pass word"):
        secrets = {"smtp_sasl_password_maps": {"[mx.provider.example]:587": value}}
        result = run("smtp_settings", node, {**SETTINGS, "secrets": secrets}, check_mode)
        assert "ann" not in str({**result, "diff": []}).replace(node.config_dir, "")
        assert "ann:" not in str(result["diff"]) and " pass" not in str(result["diff"])
    facts = run("smtp_tls_info", node, {})
    assert "ann:" not in str(facts)
    kept = {
        path: content for path, (*_each, content, _time) in picture(node.store()).items() if b"ann:" in (content or b"")
    }
    assert all(path.startswith(node.store("secrets")) for path in kept)
    assert bool(kept) is not check_mode


def test_a_rollback_tells_no_password(node):
    for value in ("ann:pass word", "ann:other pass"):
        secrets = {"smtp_sasl_password_maps": {"mx.provider.example": value}}
        run("smtp_settings", node, {**SETTINGS, "secrets": secrets})
    result = run("smtp_rollback", node, {"to": None, "allow_weaker": False, "task": None})
    assert result["changed"] is True
    assert "ann:" not in str(result)
    assert read_state(node.postfix).explicit["smtp_sasl_password_maps"].endswith("/secrets/1/smtp_sasl_password_maps")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"parameters": {"mynetworks": "0.0.0.0/0"}}, "parameters.mynetworks: '0.0.0.0/0' lets everybody relay"),
        ({"where_known": {"mynetworks": "[::]/0"}}, "'\\[::\\]/0' lets everybody relay"),
        ({"parameters": {"mynetworks": "203.0.113.0/24"}, "public_networks": ["192.0.2.0/24"]}, "is a public range"),
        ({"services": [{"name": "no such"}]}, "services\\[0\\].name: 'no such' is no service"),
        ({"secrets": {"relayhost": {"a": "b"}}}, "secrets: 'relayhost' is no table of secrets"),
        ({"secrets": {"smtp_sasl_password_maps": {"a": ""}}}, "secrets.smtp_sasl_password_maps.a: '\\(not shown\\)'"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_setting_that_cannot_be_meant_is_refused_before_the_node_is_read(node, given, sentence, check_mode):
    with pytest.raises(InvalidValue, match=sentence):
        run("smtp_settings", node, {**SETTINGS, **given}, check_mode)
    assert node.commands == []


def test_a_service_is_made_weaker_only_where_that_is_allowed(node):
    node.override("smtp/inet/smtpd_tls_security_level=encrypt")
    weaker = {**SETTINGS, "services": [{"name": "smtp", "parameters": {"smtpd_tls_security_level": None}}]}
    with pytest.raises(HardeningError, match="lower protection: smtp/inet.level from encrypt to none;"):
        run("smtp_settings", node, weaker)
    assert run("smtp_settings", node, {**weaker, "allow_weaker": True})["changed"] is True
