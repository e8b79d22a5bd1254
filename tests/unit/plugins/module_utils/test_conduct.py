# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import resource

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _conduct
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._conduct import conduct, discreet
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._secrecy import NOT_SHOWN
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task.work import Outcome
from ansible_collections.mailfleet.smtp_hardening.tests.unit.key_spellings import AWKWARD, KEYS, traces

KEY = KEYS["rsa-pkcs8-open"].strip()
SPEC = {"task": {"type": "str"}, "passphrase": {"type": "str", "no_log": True}, "private_key": {"type": "str"}}


class Ansible:
    """AnsibleModule, as far as a module uses it: what it was told, in order."""

    options = {"task": f"Bring {AWKWARD}", "passphrase": AWKWARD, "private_key": "/etc/x.key"}

    def __init__(self, **given):
        self.argument_spec, self.params, self.check_mode = given["argument_spec"], dict(self.options), False
        self.no_log_values = {AWKWARD, "/etc/x.key"}
        self.log(f"Invoked with {self.params}", log_args=self.params)

    def log(self, msg, log_args=None):
        told.append(("log", msg, log_args))

    def warn(self, warning):
        told.append(("warn", warning))
        self.log(f"[WARNING] {warning}")

    def fail_json(self, msg, **result):
        masked.append(self.no_log_values)
        told.append(("fail", {"msg": msg, **result}))

    def exit_json(self, **result):
        masked.append(self.no_log_values)
        told.append(("exit", result))


told, masked = [], []


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    told.clear()
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: told.append(("limit", *limit)))


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def run(monkeypatch, attempt):
    monkeypatch.setattr(_conduct, "attempt", attempt)
    conduct(Ansible, None, argument_spec=SPEC)
    return told[-1]


def test_a_module_logs_which_options_it_was_given_and_no_value(monkeypatch):
    run(monkeypatch, lambda *_given: Outcome(False, {}, []))
    assert told[0][:2] == ("limit", resource.RLIMIT_CORE)
    assert told[1] == ("log", "Invoked with task passphrase private_key", None)


def test_an_answer_and_its_warnings_hold_no_secret_and_keep_paths(monkeypatch):
    answer = {"changed": True, "diff": [{"after": f"a {AWKWARD!r}"}], "file": "/etc/x.key", "found": KEY}
    ended = run(monkeypatch, lambda *_given: Outcome(False, dict(answer), [f"see {AWKWARD}", "two\nlines \x1b[0m"]))
    assert ended[0] == "exit" and traces(AWKWARD, repr(told)) == traces(KEY, repr(told)) == []
    assert (ended[1]["file"], ended[1]["found"], masked[-1]) == ("/etc/x.key", NOT_SHOWN, {AWKWARD})
    shown = {"task": f"Bring {NOT_SHOWN}", "passphrase": NOT_SHOWN, "private_key": "/etc/x.key"}
    assert ended[1]["invocation"] == {"module_args": shown}
    assert ("warn", f"see {NOT_SHOWN}") in told
    assert ("log", r"[WARNING] two\nlines \x1b[0m", None) in told


def test_the_node_remembers_a_task_by_a_name_without_secrets(monkeypatch):
    seen = []
    run(monkeypatch, lambda _work, options, *_rest: seen.append(options) or Outcome(False, {}, []))
    assert seen[0] == {**Ansible.options, "task": f"Bring {NOT_SHOWN}"}


def test_what_nobody_foresaw_fails_the_task_in_a_sentence_and_no_traceback_of_python_tells_more(monkeypatch):
    def attempt(_work, options, *_rest):
        try:
            raise ValueError(repr([KEY, options["passphrase"]]))
        except ValueError as problem:
            raise KeyError(options["passphrase"]) from problem

    kind, result = run(monkeypatch, attempt)
    assert kind == "fail" and result["msg"].startswith("This is a fault of the collection: KeyError: ")
    assert "Traceback" in result["exception"] and "ValueError" in result["exception"]
    assert traces(AWKWARD, repr(told)) == traces(KEY, repr(told)) == []


def test_a_module_that_is_refused_before_it_begins_says_no_secret_either():
    module = discreet(Ansible)(argument_spec=SPEC)
    module.fail_json(msg=f"value of x must be one of: a, got: {AWKWARD}", exception=OSError(2, "no", KEY))
    assert traces(AWKWARD, repr(told)) == traces(KEY, repr(told)) == []
    assert told[-1][1]["msg"] == f"value of x must be one of: a, got: {NOT_SHOWN}"


def test_a_module_without_root_does_nothing_and_says_how_to_have_it(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    kind, result = run(monkeypatch, lambda *_given: pytest.fail("it began"))
    assert (kind, result["changed"]) == ("fail", False)
    assert result["msg"].startswith("Root is needed on this node") and "become: true" in result["msg"]
    assert "-b on the command line" in result["msg"] and "install" not in result["msg"]
