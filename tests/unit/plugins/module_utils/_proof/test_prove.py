# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.store import active_chains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import prove as proving
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.listeners import own_listeners
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.observe import Observation, observe
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.prove import prove, prove_twin
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._proof.served import serve

LENIENT = "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\n"


@pytest.mark.parametrize(
    ("service", "main_cf", "target"),
    [
        ("smtp", "", "127.0.0.1:25"),
        ("10025", "", "127.0.0.1:10025"),
        ("127.0.0.2:10025", "", "127.0.0.2:10025"),
        ("[::1]:25", "", "[::1]:25"),
        ("smtp", "inet_interfaces = 192.0.2.1\n", "192.0.2.1:25"),
        ("smtp", "inet_protocols = ipv6\n", "[::1]:25"),
    ],
)
def test_a_listener_is_reached_where_postfix_listens(node, service, main_cf, target):
    node.write("compatibility_level = 3.9\n" + main_cf)
    node.services = f"{service} inet n - y - - smtpd\n"
    assert str(own_listeners(read_state(node.postfix))[0].target) == target


def on_the_wire(node, server, main_cf):
    """Let ``server`` be the node's only listener."""
    node.services = f"127.0.0.1:{server.port} inet n - y - - smtpd\n"
    with open(node.config_dir + "/main.cf", "a", encoding="utf-8") as handle:
        handle.write(main_cf)


def test_a_listener_on_the_wire_proves_its_configuration(tls_node, listen):
    chain = active_chains(read_state(tls_node.postfix), "server")[0][1]
    server = listen(chain=chain)
    on_the_wire(tls_node, server, LENIENT)
    (fact,) = prove(tls_node.postfix, {})
    assert fact["service"] == f"127.0.0.1:{server.port}/inet"
    assert fact["protocols"]["TLSv1.3"] == "accepted"


@pytest.mark.parametrize(
    ("main_cf", "options", "problem"),
    [
        (LENIENT, {"level": "none"}, "does not offer STARTTLS at server level may"),
        (LENIENT, {"level": "encrypt"}, "refuses plaintext mail at server level may (530 5.7.0 Must issue"),
        (
            "smtpd_tls_security_level = encrypt\nsmtpd_tls_mandatory_protocols = >=TLSv1.3\n",
            {"level": "encrypt"},
            "speaks TLSv1.2 below the floor of TLSv1.3",
        ),
    ],
)
def test_a_listener_that_shows_something_else_fails_the_proof(
    tls_node, listen, monkeypatch, *, main_cf, options, problem
):
    monkeypatch.setattr(proving, "PATIENCE", -1.0)
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1], **options)
    on_the_wire(tls_node, server, main_cf)
    with pytest.raises(ProofFailed) as failure:
        prove(tls_node.postfix, {})
    sentence = str(failure.value)
    assert sentence.startswith("The wire shows something else than what was asked: 127.0.0.1:")
    assert problem in sentence
    assert failure.value.facts["proof"][0]["listener"] == f"127.0.0.1:{server.port}"


def proxied(node):
    """The header of a proxy before each connection: the listener is told who its client is."""
    node.append("smtpd_upstream_proxy_protocol = haproxy\n")


@pytest.mark.parametrize("behind_proxy", [False, True])
@pytest.mark.parametrize("treatment", ["greets", "offers_starttls_to"])
def test_a_listener_that_treats_loopback_otherwise_is_proven_from_another_address(
    tls_node, listen, *, treatment, behind_proxy
):
    chain = active_chains(read_state(tls_node.postfix), "server")[0][1]
    server = listen(chain=chain, proxied=behind_proxy)
    on_the_wire(tls_node, server, LENIENT)
    if behind_proxy:
        proxied(tls_node)
    greeting = {True: "554 5.7.1 Client host rejected: Access denied", False: "220 mx1.example.com ESMTP"}
    answers = {
        "greets": lambda client: greeting[client == "127.0.0.1"],
        "offers_starttls_to": lambda client: client != "127.0.0.1",
    }
    setattr(server, treatment, answers[treatment])
    (fact,) = prove(tls_node.postfix, {})
    assert fact["source"] is not None and fact["starttls"] is True and fact["unproven"] is None


def test_a_listener_that_counts_connections_is_asked_from_an_address_of_its_own_each_time(tls_node, listen):
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1])
    on_the_wire(tls_node, server, LENIENT + "smtpd_client_connection_rate_limit = 1\n")
    clients = []

    def greet(client):
        clients.append(client)
        return "421 4.7.0 mx1 Error: too many connections" if clients.count(client) > 1 else "220 mx1.example.com ESMTP"

    server.greets = greet
    (fact,) = prove(tls_node.postfix, {})
    assert fact["source"] == "127.0.0.0/8"
    assert "127.0.0.1" not in clients, "clients on this host do not pay for the proof"


def refused(client):
    return "554 5.7.1 Client host rejected: Access denied"


def test_a_listener_that_turns_the_whole_host_away_is_told_apart_with_a_way_out(tls_node, listen, monkeypatch):
    monkeypatch.setattr(proving, "PATIENCE", -1.0)
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1])
    server.greets = refused
    on_the_wire(tls_node, server, LENIENT)
    name = f"127.0.0.1:{server.port}/inet"
    with pytest.raises(ProofFailed) as failure:
        prove(tls_node.postfix, {})
    assert str(failure.value) == (
        f"The wire shows something else than what was asked: {name} at 127.0.0.1:{server.port} turns this host away: "
        f"554 5.7.1 Client host rejected: Access denied. What {name} does for other clients cannot be seen from here: let it "
        f"answer one of this host's addresses, or let it go unproven by name, unproven: [{name}]. "
        "The configuration is as it was before."
    )


def test_a_listener_that_may_go_unproven_says_what_was_not_seen(tls_node, listen):
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1])
    server.greets = refused
    on_the_wire(tls_node, server, LENIENT)
    name = f"127.0.0.1:{server.port}/inet"
    (fact,) = prove(tls_node.postfix, {}, [name])
    assert fact["unproven"] == "turns this host away: 554 5.7.1 Client host rejected: Access denied"
    (fact,) = prove_twin(tls_node.postfix, ["smtp/inet"], ["smtp/inet"])
    assert fact["unproven"].startswith("turns this host away")


def test_a_listener_that_may_go_unproven_is_proven_where_it_can_be(tls_node, listen):
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1])
    on_the_wire(tls_node, server, LENIENT)
    (fact,) = prove(tls_node.postfix, {}, [f"127.0.0.1:{server.port}/inet"])
    assert fact["unproven"] is None


def test_a_service_whose_own_certificate_is_not_there_is_named_with_its_file(tls_node, listen, monkeypatch):
    monkeypatch.setattr(proving, "FIRST_WORDS", -1.0)
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1])
    on_the_wire(tls_node, server, LENIENT)
    tls_node.override(f"127.0.0.1:{server.port}/inet/smtpd_tls_chain_files=/none.pem")
    with pytest.raises(ProofFailed) as failure:
        prove_twin(tls_node.postfix, ["smtp/inet"])
    assert str(failure.value).startswith(
        "A twin with the new configuration does not do what was asked: "
        f"smtp/inet at 127.0.0.1:{server.port} is told to show what cannot be used: /none.pem: cannot be read"
    )


def test_a_listener_that_lacks_its_certificate_and_does_not_answer_is_told_of_both(tls_node, monkeypatch):
    """So that what is mended and what is not can be told apart."""
    monkeypatch.setattr(proving, "FIRST_WORDS", -1.0)
    tls_node.services = "127.0.0.1:1 inet n - y - - smtpd\n"
    tls_node.override("127.0.0.1:1/inet/smtpd_tls_chain_files=/none.pem")
    found = frozenset([("127.0.0.1:1/inet", "cannot be talked to: timed out")])
    assert proving.there_already(tls_node.postfix, found, False) == found
    with pytest.raises(ProofFailed, match=r"is told to show .*/none.pem: .*; .* cannot be talked to: "):
        prove_twin(tls_node.postfix, ["smtp/inet"])


def test_a_listener_that_shows_a_stale_certificate_fails_the_proof(tls_node, listen, monkeypatch):
    monkeypatch.setattr(proving, "PATIENCE", -1.0)
    on_the_wire(tls_node, listen(), LENIENT)
    with pytest.raises(ProofFailed, match="shows the certificate .+, which is not the active one"):
        prove(tls_node.postfix, {})


@pytest.mark.parametrize(
    ("level", "main_cf", "problem"),
    [
        ("may", LENIENT, None),
        ("none", LENIENT, "does not offer STARTTLS at server level may"),
        ("may", f"{LENIENT}smtpd_tls_chain_files = /none.pem\n", "is told to show what cannot be used: /none.pem"),
    ],
)
def test_a_listener_can_be_held_against_its_configuration_at_any_time(tls_node, listen, level, main_cf, problem):
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1], level=level)
    on_the_wire(tls_node, server, main_cf)
    (listener,) = own_listeners(read_state(tls_node.postfix))
    seen = observe(tls_node.run, listener.target)
    found = proving.falls_short(tls_node.postfix, listener, seen)
    assert [one[: len(problem)] for one in found] == [problem] if problem else found == []


@pytest.mark.parametrize("alive", [True, False])
def test_while_processes_from_before_the_reload_are_there_they_may_be_what_answers(
    tls_node, listen, monkeypatch, alive
):
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1], level="encrypt")
    on_the_wire(tls_node, server, LENIENT)
    monkeypatch.setattr(proving, "PATIENCE", -1.0)
    looks = iter([[7], [7, 8] if alive else [8], [8]])
    monkeypatch.setattr(proving, "daemons", lambda master, *names: next(looks))
    monkeypatch.setattr(proving.time, "sleep", lambda seconds: setattr(server, "level", "may"))
    if alive:
        assert prove(tls_node.postfix, {})[0]["plaintext"] == "accepted"
        return
    with pytest.raises(ProofFailed, match="refuses plaintext mail at server level may"):
        prove(tls_node.postfix, {})


def test_a_listener_may_answer_once_more_with_the_old_configuration(tls_node, listen, monkeypatch):
    server = listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1], level="encrypt")
    on_the_wire(tls_node, server, LENIENT)
    pauses = []

    def reload(seconds):
        pauses.append(seconds)
        server.level = "may"

    monkeypatch.setattr(proving.time, "sleep", reload)
    assert prove(tls_node.postfix, {})[0]["plaintext"] == "accepted"
    assert len(pauses) == 1


SILENCE, REFUSAL = "Connection unexpectedly closed: timed out", "[Errno 111] Connection refused"


@pytest.mark.parametrize(
    ("error", "lasts", "proven", "seconds"),
    [
        (SILENCE, 40, True, 50),
        (SILENCE, 1000, False, 70),
        (REFUSAL, 10, True, 20),
        (REFUSAL, 40, False, 20),
    ],
)
def test_a_listener_that_falls_silent_after_its_greeting_is_waited_for_longer_than_one_that_is_gone(
    tls_node, listen, monkeypatch, *, error, lasts, proven, seconds
):
    """Each look takes ten seconds; nothing was asked for that the listener does not show in the end."""
    on_the_wire(tls_node, listen(chain=active_chains(read_state(tls_node.postfix), "server")[0][1]), LENIENT)
    clock, real = [0.0], proving.observe

    def look(run, target, **how):
        clock[0] += 10
        return real(run, target, **how) if clock[0] > lasts else Observation(str(target), False, error=error)

    monkeypatch.setattr(proving, "observe", look)
    monkeypatch.setattr(proving, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda _seconds: None))
    if proven:
        assert prove(tls_node.postfix, {})[0]["plaintext"] == "accepted"
    else:
        with pytest.raises(ProofFailed, match="cannot be talked to"):
            prove(tls_node.postfix, {})
    assert clock[0] == seconds


def test_wrapper_mode_makes_tls_mandatory_whatever_the_level_says(node):
    node.write("smtpd_tls_security_level = may\nsmtpd_tls_req_ccert = yes\nsmtpd_tls_CAfile = /ca.pem\n")
    node.services = "465 inet n - y - - smtpd\n"
    node.override("465/inet/smtpd_tls_wrappermode=yes")
    listener = own_listeners(read_state(node.postfix))[0]
    assert listener.target.implicit_tls
    assert listener.policy.client_certificates.value == "require"


def test_a_running_postfix_is_held_to_what_it_was_started_with(tls_node, listen):
    chain = active_chains(read_state(tls_node.postfix), "server")[0][1]
    server = listen(chain=chain)
    tls_node.services = f"{server.port} inet n - y - - smtpd\n"
    tls_node.append(LENIENT + "inet_interfaces = 192.0.2.1\n")
    (fact,) = prove(tls_node.postfix, {"inet_interfaces": "all", "inet_protocols": "all"})
    assert fact["listener"] == f"127.0.0.1:{server.port}"


def as_twin(node, server, main_cf=LENIENT):
    on_the_wire(node, server, main_cf)
    return node.postfix


def test_a_twin_is_proven_under_the_names_of_the_services_that_it_stands_for(tls_node, listen):
    chain = active_chains(read_state(tls_node.postfix), "server")[0][1]
    (fact,) = prove_twin(as_twin(tls_node, listen(chain=chain)), ["submission/inet"])
    assert (fact["service"], fact["starttls"]) == ("submission/inet", True)


@pytest.mark.parametrize("reloaded", [True, False])
def test_what_the_live_listeners_lack_too_was_so_before(tls_node, listen, monkeypatch, reloaded):
    monkeypatch.setattr(proving, "PATIENCE", 0.5)
    server = listen(level="none")
    on_the_wire(tls_node, server, LENIENT)
    with pytest.raises(ProofFailed) as failure:
        prove(tls_node.postfix, {})
    found = failure.value.shortcomings
    assert found == {(f"127.0.0.1:{server.port}/inet", "does not offer STARTTLS at server level may")}
    assert proving.there_already(tls_node.postfix, found, reloaded) == found
    assert proving.there_already(tls_node.postfix, frozenset([("smtp/inet", "is mute")]), reloaded) == frozenset()


def test_a_certificate_that_cannot_be_read_explains_what_its_listener_lacks(tls_node, listen, monkeypatch):
    monkeypatch.setattr(proving, "PATIENCE", -1.0)
    server = listen(level="none")
    on_the_wire(tls_node, server, LENIENT + "smtpd_tls_chain_files = /nowhere/mx.pem\n")
    with pytest.raises(ProofFailed, match="is told to show what cannot be used: /nowhere/mx.pem: cannot be read"):
        prove(tls_node.postfix, {})


def test_a_twin_that_shows_something_else_never_goes_live(tls_node, listen, monkeypatch):
    monkeypatch.setattr(proving, "FIRST_WORDS", -1.0)
    server = listen(level="none")
    with pytest.raises(ProofFailed) as failure:
        prove_twin(as_twin(tls_node, server), ["smtp/inet"])
    assert str(failure.value) == (
        "A twin with the new configuration does not do what was asked: "
        f"smtp/inet at 127.0.0.1:{server.port} does not offer STARTTLS at server level may. "
        "The configuration is as it was before."
    )


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ("451 4.3.0 <postmaster>: Temporary lookup failure", True),
        ("451 4.3.5 Server configuration error", True),
        ("451 4.7.1 Greylisted", False),
        ("550 5.1.1 User unknown", False),
        ("454 4.7.1 Relay access denied", False),
        ("250 2.1.5 Ok", False),
    ],
)
def test_a_twin_whose_rules_for_recipients_do_not_work_never_goes_live(
    tls_node, listen, monkeypatch, *, reply, refused
):
    monkeypatch.setattr(proving, "FIRST_WORDS", -1.0)
    chain = active_chains(read_state(tls_node.postfix), "server")[0][1]
    server = listen(chain=chain)
    server.to_recipient = reply
    twin = as_twin(tls_node, server)
    if not refused:
        assert len(prove_twin(twin, ["smtp/inet"])) == 1
        return
    with pytest.raises(ProofFailed) as failure:
        prove_twin(twin, ["smtp/inet"])
    assert str(failure.value) == (
        f"A twin with the new configuration cannot take mail: smtp/inet answers {reply!r} to RCPT TO. "
        "The configuration is as it was before."
    )
    assert failure.value.facts["proof"][0]["service"] == "smtp/inet"


def test_a_node_that_serves_names_asks_for_them_on_the_wire(node, issue, listen):
    chain = issue()
    serve(node, chain, hosts=[("mail.example.net", issue(names=["mail.example.net"]))])
    asked = []

    def run(argv, stdin=None):
        if argv[0] != "openssl":
            return node.run(argv, stdin)
        asked.append(argv[argv.index("-servername") + 1])
        return Completed(0, certificates_pem(active_chains_of(node, "c0")).decode(), "")

    on_the_wire(node, listen(chain=chain), LENIENT)
    (fact,) = prove(Postfix(run, node.config_dir), {})
    assert "mail.example.net" in asked
    assert list(fact["by_name"]) == ["mail.example.net"]


def active_chains_of(node, name):
    return store.stored_chains(node.state, name)[0].certificates
