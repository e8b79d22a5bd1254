# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.conversation import Target
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.observe import Observation
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_tls_probe
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    PINS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    apply,
)

OPTIONS = {"targets": [], "ca_file": None, "deliver": [], "sender": None, "timeout": 0, "rehearse": "testing"}
LEVELS = ["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"]


@pytest.fixture(autouse=True)
def today(monkeypatch):
    now = datetime.datetime.combine(TODAY, datetime.time(12), datetime.timezone.utc)
    monkeypatch.setattr(smtp_tls_probe, "utc_now", lambda: now)


def names(node, which):
    return [record.name for record in smtp_tls_probe.records(node.state, which)]


@pytest.mark.parametrize("which", ["none", "testing", "all"])
def test_a_node_without_records_has_nothing_to_rehearse(node, which):
    assert names(node, which) == []


@pytest.mark.parametrize(
    ("which", "rehearsed"),
    [("none", []), ("testing", ["tried.example"]), ("all", ["held.example", "tried.example"])],
)
def test_records_in_testing_are_rehearsed_or_all_or_none(node, which, rehearsed):
    apply(
        node,
        {"name": "tried.example", "level": "encrypt", "mode": "testing"},
        {"name": "held.example", "level": "encrypt"},
    )
    assert names(node, which) == rehearsed


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("which", "mode"), [("testing", "testing"), ("all", "testing"), ("all", "enforce")])
def test_a_record_is_rehearsed_if_its_level_can_hold_mail_back(node, level, which, mode):
    match = {"match": PINS[:1]} if level == "fingerprint" else {}
    apply(node, {"name": "x.example", "level": level, "mode": mode, **match})
    assert names(node, which) == ([] if level in ("none", "may") else ["x.example"])


@pytest.mark.parametrize("over", [{"local": True}, {"route": "lmtp:[store.example]"}, {"incoming": {}}])
def test_a_record_without_a_level_is_not_rehearsed(node, over):
    apply(node, {"name": "x.example", **over})
    assert names(node, "all") == []


@pytest.mark.parametrize(
    ("expires", "rehearsed"), [(YESTERDAY, []), (str(TODAY), ["x.example"]), (TOMORROW, ["x.example"])]
)
def test_a_record_that_has_expired_is_not_rehearsed(node, expires, rehearsed):
    apply(node, {"name": "x.example", "level": "encrypt", "mode": "testing", "expires": expires})
    assert names(node, "testing") == names(node, "all") == rehearsed


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("said", "delivered"),
    [
        ("Untrusted TLS connection established to mx.x.example[192.0.2.1]:25: TLSv1.3", True),
        ("SSL_connect error to mx.x.example[192.0.2.1]:25: lost connection", False),
    ],
)
def test_what_would_wait_is_logged_but_in_check_mode(node, said, delivered, check_mode):
    apply(node, {"name": "x.example", "level": "encrypt", "mode": "testing"})
    logged = []

    def run(argv, stdin=None):
        if "posttls-finger" in argv:
            return Completed(0, f"posttls-finger: {said}\n", "")
        if argv[0] == "postlog":
            logged.append(argv[-1])
        return node.run(argv, stdin)

    result = smtp_tls_probe.work(Postfix(run, node.config_dir), OPTIONS, check_mode)()
    assert not result["changed"]
    assert [(r["domain"], r["delivered"]) for r in result["rehearsals"]] == [("x.example", delivered)]
    waits = "testing: mail for x.example would wait at level encrypt: "
    assert logged == ([] if delivered or check_mode else [waits + said])


@pytest.mark.parametrize(("over", "rehearsed"), [({}, []), ({"route": "[mx.x.example]"}, [".x.example"])])
def test_names_below_a_domain_are_rehearsed_only_by_the_next_hop_of_a_route(node, over, rehearsed):
    apply(node, {"name": ".x.example", "level": "encrypt", **over})
    assert names(node, "all") == rehearsed


@pytest.fixture
def looked_at(monkeypatch):
    """What the probe talks to: (target, CAs, own certificate)."""
    seen = []

    def observe(run, target, ca_file=None, own_pem=None):
        seen.append((target, ca_file, own_pem))
        return Observation(str(target), target.implicit_tls)

    monkeypatch.setattr(smtp_tls_probe, "observe", observe)
    return seen


def test_an_empty_list_of_targets_means_none(node, looked_at):
    smtp_tls_probe.work(node.postfix, {**OPTIONS, "targets": []}, False)()
    assert looked_at == []
    smtp_tls_probe.work(node.postfix, {**OPTIONS, "targets": None}, False)()
    assert {target.port for target, _ca_file, _own_pem in looked_at} == {25}


@pytest.mark.parametrize(
    ("shows", "source"),
    [
        (lambda target: {"starttls": True}, None),
        (lambda target: {"starttls": target.source is not None}, "another"),
        (
            lambda target: {"error": None if target.source else "554 5.7.1 no", "starttls": bool(target.source)},
            "another",
        ),
        (lambda target: {"error": "554 5.7.1 no"}, None),
        (lambda target: {"error": "[Errno 111] Connection refused"}, None),
    ],
)
def test_an_own_listener_is_seen_as_clients_see_it_that_are_not_on_the_node(node, monkeypatch, shows, source):
    def observe(run, target, ca_file=None, own_pem=None):
        return Observation(str(target), target.implicit_tls, source=target.source, **shows(target))

    monkeypatch.setattr(smtp_tls_probe, "observe", observe)
    (seen,) = smtp_tls_probe.work(node.postfix, {**OPTIONS, "targets": None}, False)()["observations"]
    assert (seen["source"] is None) is (source is None)


@pytest.mark.parametrize(
    ("looks", "problems"),
    [
        ([[]], []),
        ([["speaks TLSv1.1"], []], []),
        ([["speaks TLSv1.1"]], ["speaks TLSv1.1"]),
    ],
)
def test_an_own_listener_is_held_against_its_configuration_until_it_had_time(
    node, looked_at, monkeypatch, looks, problems
):
    clock = iter(range(0, 100, 2))
    said = iter([*looks, *[looks[-1]] * 9])
    monkeypatch.setattr(smtp_tls_probe.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(smtp_tls_probe.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(smtp_tls_probe, "falls_short", lambda *_given: next(said))
    (seen,) = smtp_tls_probe.work(node.postfix, {**OPTIONS, "targets": None}, False)()["observations"]
    assert (seen["service"], seen["problems"]) == ("smtp/inet", problems)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({}, Target("mx.example", 25, "mx.example")),
        ({"name": "mail.example"}, Target("mx.example", 25, "mail.example")),
        ({"port": 465, "implicit_tls": True}, Target("mx.example", 465, "mx.example", True)),
        ({"proxy_protocol": 2}, Target("mx.example", 25, "mx.example", proxy_protocol=2)),
    ],
)
def test_a_target_is_looked_at_by_its_own_name_and_with_what_the_node_shows(tls_node, looked_at, given, target):
    usual = {"address": "mx.example", "port": 25, "name": None, "implicit_tls": False, "proxy_protocol": None}
    options = {**usual, **given}
    smtp_tls_probe.work(tls_node.postfix, {**OPTIONS, "targets": [options], "ca_file": "/etc/ca.pem"}, False)()
    with open(tls_node.store("certificates/fleet/1.pem"), "rb") as handle:
        assert looked_at == [(target, "/etc/ca.pem", handle.read())]
