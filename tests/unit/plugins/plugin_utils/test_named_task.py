# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _named_task as action
from ansible_collections.mailfleet.smtp_hardening.tests.unit.key_spellings import AWKWARD, KEYS, traces


@pytest.mark.parametrize(
    ("name", "args", "sent"),
    [
        ("Set it", {"profile": "lenient_default"}, {"task": "Set it", "profile": "lenient_default"}),
        ("lenient_default : Set it", {}, {"task": "lenient_default : Set it"}),
        (" Set it\n", {}, {"task": "Set it"}),
        ("Set it", {"task": "Set by the night's run"}, {"task": "Set by the night's run"}),
    ],
)
@pytest.mark.parametrize("async_val", [0, 45])
def test_the_node_is_told_which_task_changes_it_also_in_the_background(monkeypatch, name, args, sent, async_val):
    calls = []

    def execute(self, **call):
        calls.append(call)
        return {"changed": True}

    monkeypatch.setattr(action.ActionModule, "_execute_module", execute)
    task = SimpleNamespace(
        args=args, async_val=async_val, check_mode=False, action="smtp_settings", get_name=lambda: name
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
    result = action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, {"a": 1})
    assert result == {"changed": True}
    assert calls == [{"module_args": sent, "task_vars": {"a": 1}, "wrap_async": async_val}]


KEY = KEYS["p256-pkcs8-open"]
ARGS = {"own_ca": {"ca_passphrase": AWKWARD, "ca_private_key": "/etc/ca.key"}, "name": KEY}


@pytest.fixture
def start(monkeypatch):
    """Run the action while its module answers, or fails, in this way."""

    def run(answer, name="Sign it"):
        calls = []

        def execute(self, **call):
            calls.append(call["module_args"])
            return answer()

        monkeypatch.setattr(action.ActionModule, "_execute_module", execute)
        task = SimpleNamespace(args=ARGS, async_val=0, check_mode=False, action="smtp", get_name=lambda: name)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        return action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, {}), calls

    return run


def failing(problem, cause=None):
    def answer():
        raise problem from cause

    return answer


def test_no_secret_of_the_controller_is_in_a_result_or_in_the_name_that_the_node_keeps(start):
    result, calls = start(lambda: {"msg": f"{AWKWARD!r} {KEY}", "path": "/etc/ca.key", "rc": 1}, f"Sign by {AWKWARD}")
    assert traces(AWKWARD, repr(result)) == traces(KEY, repr(result)) == traces(AWKWARD, calls[0]["task"]) == []
    assert (result["path"], result["rc"], calls[0]["own_ca"]) == ("/etc/ca.key", 1, ARGS["own_ca"])


@pytest.mark.parametrize(
    "problem",
    [
        (HardeningError(f"own_ca.ca_passphrase: {AWKWARD} is wrong; give another."), None),
        (ValueError(f"not found: {KEY}"), None),
        (AnsibleActionFail("it fails"), ValueError(KEY)),
    ],
)
def test_a_failure_on_the_controller_tells_no_secret_nor_does_what_lies_behind_it(start, problem):
    with pytest.raises(AnsibleActionFail) as failure:
        start(failing(*problem))
    assert (failure.value.__cause__, failure.value.__suppress_context__) == (None, True)
    assert traces(AWKWARD, str(failure.value)) == traces(KEY, str(failure.value)) == []


@pytest.mark.parametrize("problem", [ZeroDivisionError("so"), AnsibleConnectionFailure(f"no route to {AWKWARD}")])
def test_other_failures_stay_what_they_are(start, problem):
    with pytest.raises(type(problem)) as failure:
        start(failing(problem))
    assert failure.value is problem


WRITTEN = {"smtp": {"allow_weaker": "{{ smtp_allow_weaker | default(false) }}"}}
REFUSED = "set allow_weaker: true if that is meant."


@pytest.fixture
def written(monkeypatch):
    """Run the action of a task that is written in a playbook, whose module returns this."""

    def run(result):
        monkeypatch.setattr(action.ActionModule, "_execute_module", lambda self, **call: result)
        task = SimpleNamespace(
            args={}, async_val=0, check_mode=False, action="smtp", get_name=lambda: "Set it", _ds=WRITTEN
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        return action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, {})

    return run


def test_what_is_said_names_the_variable_that_the_playbook_has(written):
    said = written({"failed": True, "msg": REFUSED, "warnings": [REFUSED], "lowered": [REFUSED]})
    in_words = "set smtp_allow_weaker: true if that is meant."
    assert said == {"failed": True, "msg": in_words, "warnings": [in_words], "lowered": [REFUSED]}


@pytest.mark.parametrize(
    ("sentence", "exception", "stays"),
    [(REFUSED, object(), False), (REFUSED, "Traceback", True), ("It is broken.", object(), True)],
)
def test_what_ansible_made_of_a_sentence_goes_with_it_but_a_traceback_stays(written, sentence, exception, stays):
    assert ("exception" in written({"failed": True, "msg": sentence, "exception": exception})) is stays
