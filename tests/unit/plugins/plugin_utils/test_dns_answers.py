# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dns.flags
import dns.resolver
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_answers
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_answers import Answer, ask

QUESTION = ("_25._tcp.mx1.example.com.", "TLSA")


def test_resolvers_that_are_named_are_asked_alone_and_twice_in_the_time_there_is(monkeypatch):
    """The controller's own resolv.conf may be broken or missing."""
    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", lambda self, path: 1 / 0)
    resolver = _dns_answers._resolver(["127.0.0.1@5353", "::1"], 4)
    assert resolver.nameserver_ports == {"127.0.0.1": 5353, "::1": 53}
    assert list(resolver.nameservers) == ["127.0.0.1", "::1"]
    assert (resolver.timeout, resolver.lifetime) == (2, 4)


def test_a_resolver_is_asked_to_look_further_and_to_tell_what_it_vouches_for():
    assert _dns_answers._resolver(["127.0.0.1"], 4).flags == dns.flags.RD | dns.flags.AD


def test_a_question_is_asked_once_however_often_it_is_wanted(monkeypatch):
    asked = []
    monkeypatch.setattr(_dns_answers, "_answer", lambda resolver, *question: asked.append(question) or Answer())
    assert ask([QUESTION] * 3, ["127.0.0.1"], 1) == {QUESTION: Answer()}
    assert asked == [QUESTION]
