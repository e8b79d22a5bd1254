# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether DANE can work on a node."""

from __future__ import annotations

import datetime
import os

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.doc_fragments.smtp import ModuleDocFragment
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import resolver, validator
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.resolver import (
    DNSSEC_ARGUMENTS,
    lost,
    unmet,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.validator import Answer, Names
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

NOERROR, SERVFAIL = 0, 2
TODAY = datetime.date(2026, 1, 1)
REMEDY = " Install one (role relay: relay_resolver: unbound), or name other names to ask in dnssec_test."
NEEDED = "Level dane needs a resolver on loopback that validates DNSSEC, and "


def test_the_options_are_those_that_are_documented():
    documented = yaml.safe_load(ModuleDocFragment.DNSSEC)["options"]["dnssec_test"]
    assert documented["type"] == DNSSEC_ARGUMENTS["type"] == "dict"
    assert {
        name: {"type": option["type"], "default": option["default"]}
        for name, option in documented["suboptions"].items()
    } == DNSSEC_ARGUMENTS["options"]
    assert DNSSEC_ARGUMENTS["options"] == {
        "signed": {"type": "str", "default": "."},
        "bogus": {"type": "str", "default": "dnssec-failed.org"},
    }
    assert Names(**{name: option["default"] for name, option in DNSSEC_ARGUMENTS["options"].items()}) == Names()


# Whether DANE can work on a node.


@pytest.fixture
def answers(monkeypatch):
    """One resolver on loopback that validates, until a test says otherwise."""
    said = {".": Answer(NOERROR, True), "dnssec-failed.org": Answer(SERVFAIL, False)}
    monkeypatch.setattr(resolver, "_resolvers", lambda state: ["127.0.0.1"])
    monkeypatch.setattr(validator, "ask", lambda address, name: said[name])
    monkeypatch.setattr(validator, "is_dnsmasq", lambda address: False)
    return said


def test_what_a_resolver_shows_is_told_with_the_remedy(node, answers):
    assert unmet(node.state, None) is None
    answers["."] = Answer(NOERROR, False)
    assert unmet(node.state, None) == f"{NEEDED}the resolver 127.0.0.1 does not vouch for the signed name ..{REMEDY}"


def test_other_names_may_be_asked(node, answers):
    answers.update({"signed.example": Answer(NOERROR, True), "bogus.example": Answer(NOERROR, False)})
    given = {"signed": "signed.example", "bogus": "bogus.example"}
    assert "does not refuse (SERVFAIL) the name bogus.example" in unmet(node.state, given)
    answers["bogus.example"] = Answer(SERVFAIL, False)
    assert unmet(node.state, given) is None


@pytest.mark.parametrize(
    ("lookup", "met"), [("dns", True), ("dns, native", True), ("native dns", True), ("native", False), ("", False)]
)
def test_a_client_that_asks_no_dns_has_no_dane(node, answers, lookup, met):
    node.append(f"smtp_host_lookup = {lookup}\n")
    lacking = unmet(node.state, None)
    assert lacking == (None if met else f"{NEEDED}smtp_host_lookup = {lookup} asks no DNS.{REMEDY}")


@pytest.mark.parametrize("addresses", [["192.0.2.53"], ["127.0.0.1", "192.0.2.53"], ["2001:db8::53"]])
def test_a_resolver_elsewhere_is_not_believed(node, answers, monkeypatch, addresses):
    monkeypatch.setattr(resolver, "_resolvers", lambda state: addresses)
    assert unmet(node.state, None) == (
        f"{NEEDED}the resolver {addresses[-1]} is not on loopback, so its answers could be forged on the way.{REMEDY}"
    )


@pytest.mark.parametrize("name", ["no name", "", "münchen.example", "a..b"])
def test_a_name_that_cannot_be_asked_is_a_sentence(node, monkeypatch, name):
    monkeypatch.setattr(resolver, "_resolvers", lambda state: ["127.0.0.1"])
    lacking = unmet(node.state, {"signed": name, "bogus": "bogus.example"})
    assert repr(name) in lacking


# Which resolvers Postfix asks.


@pytest.fixture
def resolv_conf(node, tmp_path, monkeypatch):
    """Put resolv.conf in place, for the system and in Postfix's chroot; both below a folder of the test."""
    root = str(tmp_path / "root")
    real = resolver._nameservers
    monkeypatch.setattr(resolver, "_nameservers", lambda top: real(root if top == "/" else top))

    def put(system, inside=None):
        for top, text in ((root, system), (node.queue_dir, inside)):
            if text is not None:
                write(os.path.join(top, "etc/resolv.conf"), text)
        return resolver._resolvers(node.state)

    return put


@pytest.mark.parametrize(
    ("entry", "level", "looks_inside"),
    [
        ("smtp unix - - y - - smtp\n", "3.9", True),
        ("smtp unix - - n - - smtp\n", "3.9", False),
        ("smtp unix - - - - - smtp\n", "3.9", False),
        ("smtp unix - - - - - smtp\n", "0", True),
        ("smtp unix - - y - - smtp\n", "2", True),
        ("", "3.9", False),
    ],
)
def test_a_client_in_a_chroot_asks_the_resolvers_of_the_copy_there(node, resolv_conf, entry, level, looks_inside):
    node.services = entry
    node.write(f"compatibility_level = {level}\n")
    assert resolv_conf("nameserver 127.0.0.1\n", "nameserver 127.0.0.1\nsearch example\n") == ["127.0.0.1"]
    if not looks_inside:
        assert resolv_conf("nameserver 127.0.0.1\n", "nameserver 192.0.2.53\n") == ["127.0.0.1"]
        return
    write(os.path.join(node.queue_dir, "etc/resolv.conf"), "nameserver 192.0.2.53\nnameserver ::1\n")
    assert unmet(node.state, None) == (
        f"{NEEDED}Postfix's copy of resolv.conf in {node.queue_dir} names 192.0.2.53, ::1 and the system 127.0.0.1; "
        f"restart Postfix to renew the copy.{REMEDY}"
    )


def test_a_resolv_conf_that_cannot_be_read_is_a_sentence(node, resolv_conf, monkeypatch):
    node.services = "smtp unix - - n - - smtp\n"
    resolv_conf("nameserver 127.0.0.1\n")

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(validator, "of_host", refuse)
    assert "etc/resolv.conf cannot be read (Permission denied)." in unmet(node.state, None)


# Where DANE is in force.


@pytest.mark.parametrize(
    ("config", "override"),
    [
        ("smtp_tls_security_level = dane\n", None),
        ("smtp_tls_security_level = Dane-Only\n", None),
        ("smtp_tls_security_level = may\n", "relay/unix/smtp_tls_security_level=dane"),
    ],
)
def test_a_client_that_demands_dane_is_told_that_it_has_lost_it(node, answers, config, override):
    node.append(config)
    if override:
        node.override(override)
    assert lost(node.state, Names(), TODAY) is None
    answers["dnssec-failed.org"] = Answer(NOERROR, True)
    assert "does not refuse (SERVFAIL) the name dnssec-failed.org" in lost(node.state, Names(), TODAY)


@pytest.mark.parametrize("level", ["", "may", "encrypt", "secure"])
def test_where_nobody_demands_dane_nothing_is_lost_and_nobody_asked(node, monkeypatch, level):
    monkeypatch.setattr(validator, "why_not", None)
    monkeypatch.setattr(validator, "why_silent", lambda path: None)
    node.append(f"smtp_tls_security_level = {level}\n")
    assert lost(node.state, Names(), TODAY) is None


@pytest.mark.parametrize(
    ("more", "demanded"), [({}, True), ({"mode": "testing"}, False), ({"expires": "2025-12-31"}, False)]
)
def test_a_record_that_demands_dane_is_told_while_it_is_in_force(node, answers, monkeypatch, more, demanded):
    (record,), _absent = read_domains([{"name": "partner.example", "level": "dane", **more}])
    monkeypatch.setattr(resolver, "read_records", lambda folder: (record,))
    answers["."] = Answer(SERVFAIL, False)
    assert bool(lost(node.state, Names(), TODAY)) is demanded


def test_a_resolver_of_the_hosts_own_that_is_silent_is_told_with_dane_or_without(node, monkeypatch):
    asked = []
    monkeypatch.setattr(
        validator, "why_silent", lambda path: asked.append(path) or ((path[1:] == "etc/resolv.conf") and "x")
    )
    assert lost(node.state, Names(), TODAY) == (
        "Mail waits, or is slow, for x; start that resolver, or name another in resolv.conf."
    )
    assert asked == [f"{node.queue_dir}/etc/resolv.conf", "/etc/resolv.conf"]
