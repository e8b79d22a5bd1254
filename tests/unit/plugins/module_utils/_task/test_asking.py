# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import NOTHING
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan, plan_parameters
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import next_hops
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.login import Login
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.rehearsal import Answer
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task.asking import Asked, Change, ask_first

SMART = "[smart.example]:587"


def change(node, parameters, passwords=None, check_mode=False):
    plan = plan_parameters(node.state, parameters) if parameters else Plan()
    return Change(plan, NOTHING, check_mode, passwords or {})


@pytest.fixture
def answers(monkeypatch):
    """What hosts answer, and how often they are asked."""
    asked = []

    def answer(postfix, state, question):
        asked.append(question)
        return Answer(True, "Verified", None)

    monkeypatch.setattr(next_hops, "ask", answer)
    monkeypatch.setattr(next_hops, "log_in", lambda question, credentials: Login(credentials == "ann:right", "535 no"))
    return asked


def test_nothing_to_do_asks_nobody(node, answers):
    assert ask_first(node.postfix, node.state, change(node, {}), lambda asked: asked) == Asked(None, [])
    assert answers == []


def test_a_change_without_next_hops_is_made_at_once(node, answers):
    done = ask_first(node.postfix, node.state, change(node, {"myhostname": "a.example"}), lambda asked: asked)
    assert (done.hops, done.compared.lowered, answers) == ([], [], [])


def test_a_next_hop_is_asked_without_the_lock_and_then_the_change_is_made(node, answers):
    node.append("smtp_tls_security_level = secure\nrelay_transport = relay\n")
    wanted = change(node, {"relayhost": SMART})
    then = ask_first(node.postfix, node.state, wanted, lambda asked: asked)
    assert answers == []
    assert {hop.next_hop for hop in then().hops} == {SMART}
    assert answers


def test_a_password_that_is_refused_for_good_stops_the_change(node, answers):
    node.append("smtp_tls_security_level = secure\n")
    done = []
    for password in ("ann:wrong", "ann:right"):
        wanted = change(node, {"relayhost": SMART}, {SMART: password})
        then = ask_first(node.postfix, node.state, wanted, done.append)
        if password == "ann:right":
            then()
        else:
            with pytest.raises(HardeningError, match="refuses the name or the password .* Nothing was changed"):
                then()
    assert {hop.login for (asked,) in [done] for hop in asked.hops} == {True}


def test_a_change_by_somebody_else_meanwhile_is_told(node, answers):
    node.append("smtp_tls_security_level = secure\n")
    then = ask_first(node.postfix, node.state, change(node, {"relayhost": SMART}), lambda asked: asked)
    node.append("mydestination = other.example\n")
    with pytest.raises(PostfixError, match="was changed while next hops were asked"):
        then()


def put_password(node, password, next_hop=SMART):
    """A table of ours as smtp_settings leaves it."""
    path = os.path.join(node.config_dir, "smtp_hardening/secrets/1/smtp_sasl_password_maps")
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# ours\n{next_hop}\tann:{password}\n")
    node.append(f"smtp_sasl_password_maps = hash:{path}\n")


def test_a_password_that_the_node_has_is_tried_at_a_next_hop_that_is_new(node, answers):
    node.append("smtp_tls_security_level = secure\n")
    put_password(node, "wrong")
    with pytest.raises(HardeningError, match="refuses the name or the password"):
        ask_first(node.postfix, node.state, change(node, {"relayhost": SMART}), lambda asked: asked)()


def test_next_hops_that_are_too_many_to_be_asked_are_told(node, answers):
    node.append("smtp_tls_security_level = secure\n")
    hosts = ", ".join(f"[h{number}.example]" for number in range(next_hops.MOST + 2))
    asked = ask_first(node.postfix, node.state, change(node, {"relayhost": hosts}), lambda asked: asked)()
    assert len(answers) == next_hops.MOST
    (warned,) = asked.warnings()
    assert warned.endswith(f"not known: [h{next_hops.MOST}.example], [h{next_hops.MOST + 1}.example].")


@pytest.mark.parametrize(
    ("main_cf", "used"),
    [
        ("default_transport = smtps\n", "default_transport sends other mail"),
        ("content_filter = smtps:[127.0.0.1]:10465\n", "content_filter sends mail"),
        ("relay_domains = a.example\nrelay_transport = smtps\n", "relay_transport sends mail for a.example"),
        ("transport_maps = inline:{ { a.example = smtp:[b.example] } }\n", None),
    ],
)
def test_a_client_that_mail_goes_by_is_not_taken_away(node, answers, main_cf, used):
    node.services += "smtps unix - - y - - smtp -o smtp_tls_wrappermode=yes\n"
    node.append(f"default_transport = smtp\n{main_cf}")
    gone = Change(plan_parameters(node.state, {}, gone=("smtps/unix",)), NOTHING, False)
    if used is None:
        assert ask_first(node.postfix, node.state, gone, lambda asked: asked).hops == []
        return
    with pytest.raises(HardeningError, match=f"services: smtps/unix is the client by which {used}, .* leave it"):
        ask_first(node.postfix, node.state, gone, lambda asked: asked)


@pytest.mark.parametrize(("check_mode", "doubted"), [(False, False), (True, True)])
def test_a_password_for_nobody_is_told_and_check_mode_cannot_know(node, answers, check_mode, doubted):
    wanted = change(node, {"myhostname": "a.example"}, {"[elsewhere.example]:587": "ann:right"}, check_mode)
    told = list(ask_first(node.postfix, node.state, wanted, lambda asked: list(asked.warnings())))
    assert [("[elsewhere.example]:587" in one, "check mode cannot know" in one) for one in told] == [(True, doubted)]
