# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
import shutil

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files as files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    HardeningError,
    InvalidValue,
    PostfixError,
    ProofFailed,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import read_allowance
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan, plan_parameters
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.sources import Unheard
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import work as task_work
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import change as changing
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history, journal, lock
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import apply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write

AUTHOR = Author("smtp_settings", "Name the host")
TIME = "2026-11-24T12:00:00Z"
UNDONE = {"module": "smtp_tls_mode", "task": "Set it", "time": TIME, "undone": True, "problem": None}


def attempt(node, work, check_mode=False, run=None):
    return task_work.attempt(work, {"config_dir": node.config_dir}, check_mode, run or node.run)


def answering(result):
    return lambda postfix, options, check_mode: dict(result)


def failing(problem):
    def work(postfix, options, check_mode):
        raise problem

    return work


@pytest.fixture
def interrupted(node):
    """A node on which a change was killed just after main.cf was swapped."""
    author = Author("smtp_tls_mode", "Set it")
    log = journal.begin(node.config_dir, author, TIME, node.queue_dir, [node.store()])
    new = write(node.store("transaction", "stage", "main.cf"), "myhostname = half.example.com\n")
    live, kept = next(iter(log.saved.items()))
    journal.put(live, kept, new, files.read(kept))
    return node


def test_warnings_leave_the_result_and_stand_beside_it(node):
    outcome = attempt(node, answering({"changed": True, "warnings": ["master.cf: overrides"]}))
    assert outcome == (False, {"changed": True, "interrupted": None}, ["master.cf: overrides"])


@pytest.mark.parametrize(
    ("problem", "result"),
    [
        (InvalidValue("domains", "a", "is odd", "drop it"), {"msg": "domains: 'a' is odd; drop it."}),
        (ProofFailed("Not proven.", proof=[1], restored=True), {"msg": "Not proven.", "proof": [1], "restored": True}),
        (
            PermissionError(13, "Permission denied", "/etc/postfix/smtp_hardening"),
            {"msg": "/etc/postfix/smtp_hardening: Permission denied; nothing was changed."},
        ),
        (
            OSError(28, "No space left on device"),
            {"msg": "The file system: No space left on device; nothing was changed."},
        ),
    ],
)
def test_what_a_person_must_know_is_a_failure_of_one_sentence(node, problem, result):
    assert attempt(node, failing(problem)) == (True, {**result, "changed": False, "interrupted": None}, [])


def no_instance(node):
    return (
        f"config_dir: {node.config_dir!r} holds no main.cf; "
        "install Postfix first (role relay does), or name the instance's directory."
    )


def test_a_folder_that_is_not_there_is_refused_before_it_is_locked(node, monkeypatch):
    shutil.rmtree(node.config_dir)
    monkeypatch.setattr(changing, "locked", failing(AssertionError("never locked")))
    outcome = attempt(node, failing(AssertionError("never called")))
    assert outcome == (True, {"msg": no_instance(node), "changed": False, "interrupted": None}, [])


def test_a_folder_that_holds_no_instance_has_its_turn_and_is_refused_when_it_is_read(node):
    os.unlink(node.path("main.cf"))
    outcome = attempt(node, lambda postfix, *_: read_state(postfix))
    assert outcome == (True, {"msg": no_instance(node), "changed": False, "interrupted": None}, [])
    assert node.commands == []


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_an_interrupted_change_is_undone_though_a_file_was_removed_meanwhile(interrupted, name):
    os.unlink(interrupted.path(name))
    outcome = attempt(interrupted, lambda postfix, *_: {"changed": False, "seen": read_state(postfix).explicit})
    assert outcome.result == {"changed": True, "seen": {"compatibility_level": "3.9"}, "interrupted": UNDONE}
    assert interrupted.services.startswith("smtp inet ")


def test_an_error_of_the_code_is_not_made_a_sentence_of(node):
    with pytest.raises(ZeroDivisionError):
        attempt(node, failing(ZeroDivisionError()))


def test_a_node_without_cryptography_is_told_which_package_to_install(node, monkeypatch):
    monkeypatch.setattr(library, "MISSING", "Traceback: no module named cryptography")
    outcome = attempt(node, failing(AssertionError("never called")))
    assert outcome.failed
    assert outcome.result["msg"] == (
        "The Python library cryptography is missing on this node; install python3-cryptography."
    )


def test_one_run_works_on_an_instance_at_a_time(node, monkeypatch):
    monkeypatch.setattr(lock, "LOCK_SECONDS", -1)
    inner = []
    attempt(node, lambda *_: inner.append(attempt(node, failing(AssertionError("never called")))) or {})
    assert "has been locked by another run" in inner[0].result["msg"]
    assert attempt(node, answering({"changed": False})).failed is False


def test_an_interrupted_change_is_undone_and_told_before_anything_is_read(interrupted):
    seen = []

    def work(postfix, options, check_mode):
        seen.append(postfix.postconf("-n"))
        return {"changed": False, "warnings": ["another"]}

    outcome = attempt(interrupted, work)
    assert seen == [f"config_directory = {interrupted.config_dir}\ncompatibility_level = 3.9\n"]
    assert outcome.result == {"changed": True, "interrupted": UNDONE}
    sentence = f'A change by "Set it" (smtp_tls_mode) of {TIME} was interrupted and has been undone.'
    assert outcome.warnings == [sentence, "another"]
    assert attempt(interrupted, answering({"changed": False})) == (False, {"changed": False, "interrupted": None}, [])


def test_check_mode_tells_of_an_interrupted_change_and_leaves_it(interrupted):
    before = picture(interrupted.config_dir)
    outcome = attempt(interrupted, answering({"changed": False}), check_mode=True)
    assert outcome.result == {"changed": True, "interrupted": {**UNDONE, "undone": False}}
    assert outcome.warnings == [
        f'A change by "Set it" (smtp_tls_mode) of {TIME} was interrupted and will be undone by the next run '
        "that is not in check mode."
    ]
    assert picture(interrupted.config_dir) == before


def test_a_failure_tells_of_the_interrupted_change_too(interrupted):
    outcome = attempt(interrupted, failing(InvalidValue("domains", "a", "is odd", "drop it")))
    assert outcome.result == {"msg": "domains: 'a' is odd; drop it.", "changed": True, "interrupted": UNDONE}
    assert len(outcome.warnings) == 1


@pytest.mark.parametrize("problem", [InvalidValue("domains", "a", "is odd", "drop it"), OSError(28, "No space left")])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_failure_has_changed_something_only_where_an_interrupted_change_was_undone(interrupted, problem, check_mode):
    outcome = attempt(interrupted, failing(problem), check_mode)
    assert (outcome.failed, outcome.result["changed"]) == (True, not check_mode)
    assert outcome.result["interrupted"]["undone"] is not check_mode


def test_a_postfix_that_cannot_be_told_of_the_undoing_is_told_of(interrupted):
    def run(argv, stdin=None):
        return Completed(1, "", "fatal: not running") if argv[-1] == "reload" else interrupted.run(argv, stdin)

    outcome = attempt(interrupted, answering({"changed": False}), run=run)
    problem = (
        "Postfix could not be reloaded with the old configuration: "
        f"postfix -c {interrupted.config_dir} reload fails: fatal: not running."
    )
    assert outcome.result["interrupted"]["problem"] == problem
    assert outcome.warnings[0].endswith(f"has been undone. {problem}")


@pytest.fixture
def proven(monkeypatch):
    """The wire shows what it should; what the live proof was asked is kept."""
    asked = []
    monkeypatch.setattr(task_work, "prove", lambda *given: asked.append(given) or [{"service": "smtp/inet"}])
    monkeypatch.setattr(task_work, "prove_twin", lambda twin, services, unproven: [])
    monkeypatch.setattr(task_work, "check_master", lambda postfix, staged: None)
    return asked


@pytest.mark.parametrize(
    ("wanted", "check_mode", "changes"),
    [
        ({"smtpd_tls_security_level": "may"}, False, True),
        ({"smtpd_tls_security_level": "may"}, True, False),
        ({"compatibility_level": "3.9"}, False, False),
    ],
)
def test_a_change_is_proven_and_check_mode_writes_nothing(node, proven, *, wanted, check_mode, changes):
    state = node.state
    before = picture(node.config_dir)
    result = task_work.bring_about(
        node.postfix, state, plan_parameters(state, wanted), check_mode=check_mode, author=AUTHOR
    )
    assert result["changed"] is (changes or check_mode)
    assert result["proof"] == ([{"service": "smtp/inet"}] if changes else [])
    assert (result["pending"]["set"] == wanted) is result["changed"]
    assert (node.state.explicit != state.explicit) is changes
    assert (picture(node.config_dir) != before) is changes
    assert [past.author for past in history.past(node.config_dir)] == ([Author("-"), AUTHOR] if changes else [])


def test_the_live_proof_expects_what_postfix_was_started_with(node, proven):
    state = node.state
    plan = plan_parameters(state, {"inet_interfaces": "loopback-only"})
    task_work.bring_about(node.postfix, state, plan, check_mode=False, author=AUTHOR)
    assert [started_with for _postfix, started_with, _unproven in proven] == [
        {"inet_interfaces": "all", "inet_protocols": "all"}
    ]


PASSED = {"service": "smtp/inet", "unproven": "turns this host away: 554 5.7.1 Go away"}


def bring_about(node, banner, **over):
    state = node.state
    plan = plan_parameters(state, {"mail_name": banner})
    return task_work.bring_about(node.postfix, state, plan, check_mode=False, author=AUTHOR, **over)


def test_a_listener_that_was_let_pass_by_name_stays_so_and_every_later_result_shows_it(node, proven, monkeypatch):
    def prove(postfix, started_with, unproven):
        proven.append(unproven)
        return [PASSED if "smtp/inet" in unproven else {"service": "smtp/inet", "unproven": None}]

    monkeypatch.setattr(task_work, "prove", prove)
    shown = [{"service": "smtp/inet", "problem": PASSED["unproven"]}]
    warning = "smtp/inet is not proven: it turns this host away: 554 5.7.1 Go away."
    results = [bring_about(node, "a", unproven=["smtp"]), bring_about(node, "b"), bring_about(node, "b")]
    assert [result["unproven"] for result in results] == [shown] * 3
    assert [result["warnings"] for result in results] == [[warning]] * 3
    assert bring_about(node, "c", unproven=[])["unproven"] == []
    assert bring_about(node, "d")["unproven"] == []
    assert [set(names) for names in proven] == [{"smtp/inet"}, {"smtp/inet"}, set(), set()]


def test_what_can_be_no_service_cannot_go_unproven(node, proven):
    with pytest.raises(HardeningError, match=r"^unproven: 'smtp inet' is no service; write name/type"):
        bring_about(node, "a", unproven=["smtp inet"])
    assert proven == []


def test_nothing_to_do_needs_no_running_postfix(node):
    node.running = False
    assert task_work.bring_about(node.postfix, node.state, Plan(), check_mode=False, author=AUTHOR) == {
        "changed": False,
        "diff": [],
        "pending": {"set": {}, "unset": [], "services": [], "services_gone": [], "overrides": {}, "contents": []},
        "proof": [],
        "unproven": [],
        "lowered": [],
        "warnings": [],
    }


def bring(node, wanted, check_mode, allow_weaker=False):
    plan = plan_parameters(node.state, wanted)
    allowance = read_allowance(allow_weaker)
    return task_work.bring_about(
        node.postfix, node.state, plan, check_mode=check_mode, author=AUTHOR, allowance=allowance
    )


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_lowers_protection_is_refused_in_check_mode_too_and_told_where_it_is_allowed(node, proven, check_mode):
    node.append("smtpd_tls_security_level = encrypt\n")
    weaker = {"smtpd_tls_security_level": "may"}
    before = picture(node.config_dir)
    with pytest.raises(HardeningError, match="^This would lower protection: server.level from encrypt to may; "):
        bring(node, weaker, check_mode)
    assert picture(node.config_dir) == before
    result = bring(node, weaker, check_mode, ["server"])
    assert result["changed"] is True
    assert result["lowered"] == [{"name": "server.level", "before": "encrypt", "after": "may"}]


def test_a_change_that_hides_a_record_warns_in_check_mode_and_fails_in_a_run(node, proven):
    apply(node, {"name": "bank.example", "level": "encrypt"})
    relayhost = {"relayhost": "[smarthost.example]"}
    (warning,) = bring(node, relayhost, True)["warnings"]
    said = "domains: bank.example has level encrypt, but its mail goes to [smarthost.example] (relayhost)"
    assert warning.startswith(said)
    before = picture(node.config_dir)
    with pytest.raises(HardeningError, match=re.escape(said)):
        bring(node, relayhost, False)
    assert picture(node.config_dir) == before


@pytest.mark.parametrize("needed", [True, False])
def test_a_restart_that_is_needed_is_a_warning_that_says_why(needed):
    told = task_work.restart(needed)
    assert told["restart_needed"] is needed
    assert [
        w.startswith("Postfix reads inet_interfaces and inet_protocols at its start only") for w in told["warnings"]
    ] == ([True] if needed else [])


@pytest.mark.parametrize(
    ("lacking", "found"),
    [
        ((), []),
        ((None,), []),
        ((None, "No CA."), ["No CA."]),
        (("No CA.", None, "No resolver."), ["No CA.", "No resolver."]),
    ],
)
def test_what_is_lacking_stops_a_run_and_is_a_warning_in_check_mode(lacking, found):
    later = "(check mode cannot know whether an earlier task sees to it)"
    assert task_work.unmet(True, *lacking) == [f"{sentence} {later}" for sentence in found]
    if not found:
        assert task_work.unmet(False, *lacking) == []
        return
    with pytest.raises(HardeningError) as refusal:
        task_work.unmet(False, *lacking)
    assert str(refusal.value) == found[0]


def test_check_mode_foretells_a_change_where_postfix_is_not_installed_yet(node):
    shutil.rmtree(node.config_dir)

    def nothing(argv, **options):
        raise PostfixError(f"{argv[0]} is missing.")

    options = {"config_dir": node.config_dir, "task": "Name it"}
    outcome = task_work.attempt(failing(AssertionError()), options, True, nothing)
    assert (outcome.failed, outcome.result["changed"]) == (False, True)
    assert "check mode cannot look any further" in outcome.warnings[0]
    assert task_work.attempt(failing(AssertionError()), options, False, nothing).failed
    assert task_work.attempt(failing(AssertionError()), {"config_dir": node.config_dir}, True, nothing).failed


def test_check_mode_refuses_a_directory_that_no_instance_has_where_postfix_is_installed(node):
    def run(argv, stdin=None):
        return node.run(argv, stdin) if len(argv) > 3 else Completed(0, "mail_version = 3.10.13\n", "")

    options = {"config_dir": node.path("none"), "task": "Name it"}
    assert "holds no main.cf" in task_work.attempt(failing(AssertionError()), options, True, run).result["msg"]


@pytest.fixture
def bare(node):
    """A node on which neither Postfix nor its configuration is yet; the commands that it was asked are kept."""
    shutil.rmtree(node.config_dir)
    asked = []

    def run(argv, stdin=None):
        asked.append(argv)
        raise PostfixError(f"{argv[0]} is missing on this node.")

    node.asked_commands, node.run = asked, run
    return node


def foretell(node, run, check_mode=True, work=None, **options):
    """What a module says that changes something, by default one that must not begin."""
    given = {"config_dir": node.config_dir, "task": None, **options}
    return task_work.attempt(work or failing(AssertionError("never called")), given, check_mode, run)


def test_check_mode_says_that_a_run_would_change_something_once_postfix_is_installed(bare):
    assert foretell(bare, bare.run) == (
        False,
        {"changed": True, "diff": [], "interrupted": None},
        [
            "Postfix or the Python library cryptography is not installed on this node, so check mode cannot look any "
            "further (role relay installs both)."
        ],
    )
    assert bare.asked_commands == [["postconf", "-d", "mail_version"]]
    assert not os.path.exists(bare.config_dir)


def test_a_run_on_a_node_without_postfix_fails_and_says_what_to_install(bare):
    outcome = foretell(bare, bare.run, check_mode=False)
    assert outcome == (True, {"msg": no_instance(bare), "changed": False, "interrupted": None}, [])
    assert bare.asked_commands == []


@pytest.mark.parametrize(("exit_status", "failed"), [(0, True), (1, False), (127, False)])
def test_postfix_is_there_where_its_postconf_answers(bare, exit_status, failed):
    outcome = foretell(bare, lambda argv, stdin=None: Completed(exit_status, "", ""))
    assert outcome.failed is failed
    assert (outcome.result.get("msg") == no_instance(bare)) is failed


def test_check_mode_goes_on_where_there_is_a_configuration_and_asks_nothing(node):
    def never(argv, stdin=None):
        raise AssertionError(argv)

    outcome = foretell(node, never, work=answering({"changed": False}))
    assert outcome == (False, {"changed": False, "interrupted": None}, [])


@pytest.mark.parametrize("check_mode", [True, False])
def test_check_mode_looks_no_further_without_cryptography_and_a_run_fails(node, monkeypatch, check_mode):
    monkeypatch.setattr(library, "MISSING", "Traceback: no module named cryptography")
    outcome = foretell(node, None, check_mode)
    assert outcome.failed is not check_mode
    assert (outcome.result.get("changed"), len(outcome.warnings)) == ((True, 1) if check_mode else (None, 0))


@pytest.mark.parametrize("missing", ["", "Traceback: no module named cryptography"])
def test_a_module_that_changes_nothing_foretells_nothing(bare, monkeypatch, missing):
    monkeypatch.setattr(library, "MISSING", missing)
    options = {"config_dir": bare.config_dir}
    assert task_work.attempt(failing(AssertionError("never called")), options, True, bare.run).failed


def test_a_folder_that_an_uninstalled_postfix_has_left_is_no_postfix(node):
    os.unlink(node.path("main.cf"))
    assert foretell(node, lambda argv, stdin=None: Completed(127, "", "")).result["changed"] is True


def test_what_talks_to_strangers_does_so_while_others_may_have_the_lock(node):
    def work(_postfix, _options, _check_mode):
        def talk():
            with lock.locked(node.config_dir):
                return {"changed": False}

        return talk

    assert attempt(node, work) == (False, {"changed": False, "interrupted": None}, [])


@pytest.mark.parametrize("failed", [True, False])
def test_what_strangers_said_reaches_a_terminal_as_text(failed):
    told = []
    outcome = task_work.Outcome(failed, {"msg": "450 \x1b[2J", "proof": [{"banner": "a\rb"}]}, ["CN=\x9b1m"])
    outcome.report(
        told.append, lambda **result: told.append((True, result)), lambda **result: told.append((False, result))
    )
    assert told == [r"CN=\x9b1m", (failed, {"msg": r"450 \x1b[2J", "proof": [{"banner": r"a\rb"}]})]


# What others must be asked.


def test_others_are_asked_without_the_lock_and_the_work_begins_anew(interrupted, monkeypatch):
    """What an interrupted run had left is undone once, and told at the end."""
    node, asked = interrupted, []
    question = ("socketmap:inet:127.0.0.1:8462:policy", "a.example")

    def hear(postfix, questions):
        with lock.locked(node.config_dir):
            asked.append(questions)

    def judge(postfix, options, check_mode):
        if not asked:
            raise Unheard([question])
        return {"changed": False}

    monkeypatch.setattr(lock, "LOCK_SECONDS", 1)
    monkeypatch.setattr(task_work, "hear", hear)
    outcome = attempt(node, judge)
    assert (outcome.failed, outcome.result["changed"], asked) == (False, True, [(question,)])
    assert outcome.result["interrupted"] == UNDONE
