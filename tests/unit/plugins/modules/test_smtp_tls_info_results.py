# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a node's certificates, history and trust."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.renewals import Last
from ansible_collections.mailfleet.smtp_hardening.tests.unit import strange_keys
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import MODE, host, run


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
    (authority,) = facts["trust"].pop("authorities")
    assert (authority["subject"], authority["self_signed"]) == ("CN=Fleet CA", True)
    assert facts["trust"] == {"ca_file": trusting_node.store("trust", "1.pem"), "pins": [pin]}


def test_info_describes_keys_and_certificates_that_cryptography_cannot_read(node, tmp_path):
    strange = strange_keys.make(tmp_path)
    chain_file = write(node.store("certificates", "strange", "1.pem"), strange.chain_file)
    parted = write(node.path("mx.pem"), strange.leaf), write(node.path("mx.key"), strange.key)
    node.write(
        f"smtpd_tls_chain_files = {chain_file}\nsmtp_tls_cert_file = {parted[0]}\nsmtp_tls_key_file = {parted[1]}\n"
    )
    facts = run("smtp_tls_info", node, {})
    found = [*facts["active"]["server"], *facts["active"]["client"], *facts["certificates"]["strange"]["chains"]]
    assert [(shown["subject"], shown["key_type"], shown["key_size"]) for shown in found] == [
        ("CN=mx1.example.com", "ecdsa", 0)
    ] * 3
    assert "PRIVATE" not in str(facts)


def test_a_mode_is_set_beside_keys_and_certificates_that_cryptography_cannot_read(node, tmp_path):
    chain_file = write(node.store("certificates", "strange", "1.pem"), strange_keys.make(tmp_path).chain_file)
    node.write(f"smtpd_tls_chain_files = {chain_file}\n")
    changed = run("smtp_tls_mode", node, {**MODE, "profile": "lenient_default"}, check_mode=True)
    assert changed["changed"] and not [text for text in changed["warnings"] if "certificate" in text]


def test_a_renewal_that_failed_is_told_and_among_what_is_broken(tls_node):
    node, name = tls_node, "fleet"
    for problem in ("it expired.", None):
        last = Last("ab", "2026-11-27T12:00:00Z", "2026-11-27T11:00:00Z", problem)
        write(node.store("renewal", f"{name}.last.json"), last.to_json())
        told = run("smtp_tls_info", node, {})
        assert told["certificates"][name]["renewal"] == last.as_facts()
        sentence = f"its renewal fails since 2026-11-27T11:00:00Z: {problem}"
        assert told["findings"] == ([{"about": f"certificates.{name}", "problem": sentence}] if problem else [])
