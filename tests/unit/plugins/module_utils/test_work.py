# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _work
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue, ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan, plan_parameters
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state

OPTIONS = {"config_dir": "/etc/postfix-out"}


def attempt(work, run=lambda *argv, **options: (0, "", "")):
    return _work.attempt(work, OPTIONS, False, run)


def failing(problem):
    def work(postfix, options, check_mode):
        raise problem

    return work


def test_a_command_runs_in_plain_english_on_the_instance_that_is_named():
    asked = []

    def run_command(argv, **options):
        asked.append((argv, options))
        return 0, "a = b\n", ""

    outcome = attempt(lambda postfix, options, check_mode: {"seen": postfix.postconf("-n")}, run_command)
    assert outcome == (False, {"seen": "a = b\n"}, [])
    assert asked == [
        (
            ["postconf", "-c", "/etc/postfix-out", "-n"],
            {"data": None, "environ_update": {"LC_ALL": "C", "LANG": "C"}, "handle_exceptions": False},
        )
    ]


def test_warnings_leave_the_result_and_stand_beside_it():
    outcome = attempt(lambda *arguments: {"changed": True, "warnings": ["master.cf: overrides"]})
    assert outcome == (False, {"changed": True}, ["master.cf: overrides"])


@pytest.mark.parametrize(
    ("problem", "result"),
    [
        (InvalidValue("domains", "a", "is odd", "drop it"), {"msg": "domains: 'a' is odd; drop it."}),
        (ProofFailed("Not proven.", proof=[1], restored=True), {"msg": "Not proven.", "proof": [1], "restored": True}),
        (
            FileNotFoundError(2, "No such file or directory", "postconf"),
            {"msg": "postconf is missing on this node; install Postfix (role relay does) and openssl."},
        ),
    ],
)
def test_what_a_person_must_know_is_a_failure_of_one_sentence(problem, result):
    assert attempt(failing(problem)) == (True, result, [])


def test_an_error_of_the_code_is_not_made_a_sentence_of():
    with pytest.raises(ZeroDivisionError):
        attempt(failing(ZeroDivisionError()))


def test_a_node_without_cryptography_is_told_which_package_to_install(monkeypatch):
    monkeypatch.setattr(library, "MISSING", "Traceback: no module named cryptography")
    outcome = attempt(failing(AssertionError("never called")))
    assert outcome.failed
    assert outcome.result["msg"] == (
        "The Python library cryptography is missing on this node; install python3-cryptography."
    )


@pytest.mark.parametrize(
    ("wanted", "check_mode", "proven"),
    [
        ({"smtpd_tls_security_level": "may"}, False, True),
        ({"smtpd_tls_security_level": "may"}, True, False),
        ({"compatibility_level": "3.9"}, False, False),
    ],
)
def test_a_change_is_proven_and_check_mode_writes_nothing(node, monkeypatch, wanted, check_mode, proven):
    monkeypatch.setattr(_work, "prove", lambda postfix: [{"service": "smtp/inet"}])
    state = read_state(node.postfix)
    result = _work.bring_about(node.postfix, state, plan_parameters(state, wanted), check_mode)
    assert result["changed"] is (proven or check_mode)
    assert result["proof"] == ([{"service": "smtp/inet"}] if proven else [])
    assert (result["pending"]["set"] == wanted) is result["changed"]
    assert (read_state(node.postfix).explicit != state.explicit) is proven


def test_nothing_to_do_needs_no_running_postfix(node):
    node.running = False
    assert _work.bring_about(node.postfix, read_state(node.postfix), Plan(), False) == {
        "changed": False,
        "diff": [],
        "pending": {"set": {}, "unset": [], "services": []},
        "proof": [],
    }
