# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.renewals import read_last
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import renewal
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task.due import digest, pair_at
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task.work import Outcome
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

NOTHING = "nothing to change"


class Tool:
    """The tool that renews: what it writes while the program waits, a step each half second."""

    def __init__(self, folder):
        self.paths = {"private_key": str(folder / "mx.key"), "certificate": str(folder / "mx.crt")}
        self.seconds = 0.0
        self.postfix_runs = True
        self.steps = []

    def write(self, key=None, certificate=None):
        if key is not None:
            write(self.paths["private_key"], write_key(key.key))
        if certificate is not None:
            write(self.paths["certificate"], certificates_pem(certificate.certificates))

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds
        if self.steps:
            self.write(**self.steps.pop(0))


@pytest.fixture
def tool(tmp_path, monkeypatch):
    made = Tool(tmp_path / "tool")
    monkeypatch.setattr(renewal, "time", made)
    return made


@pytest.fixture
def program(tmp_path, tool, monkeypatch):
    """Run the program; ``answer`` plays the work and is given the pair that lies there."""
    options = task("external", {"tool": "other", "hook": False, **tool.paths}, name="public", config_dir="/p")
    renewal_dir = tmp_path / "renewal"
    write(str(renewal_dir / "public.json"), json.dumps(options))
    monkeypatch.setattr(
        renewal.command, "run", lambda argv, stdin=None: Completed(0 if tool.postfix_runs else 1, "", "")
    )
    calls = []

    def run(answer):
        def attempt(work, given, check_mode):
            assert (work, given, check_mode) == (renewal.work, options, False)
            calls.append(pair_at(given["external"]))
            return answer(len(calls))

        monkeypatch.setattr(renewal, "attempt", attempt)
        return renewal.main([str(renewal_dir / "renew.pyz"), "public"]), calls

    return run


def succeeds(reason=None, warnings=()):
    return lambda _turn: Outcome(False, {"reason": reason}, list(warnings))


@pytest.mark.parametrize(
    ("reason", "said"), [("another certificate is given", "another certificate is given"), (None, NOTHING)]
)
def test_a_pair_that_belongs_together_is_brought_in_at_once(program, tool, issue, capsys, *, reason, said):
    chain = issue()
    tool.write(chain, chain)
    code, calls = program(succeeds(reason))
    assert (code, len(calls), tool.seconds) == (0, 1, 0.0)
    assert capsys.readouterr() == (f"smtp_tls_cert public: {said}\n", "")


def test_a_failure_ends_with_one_sentence_and_1(program, tool, issue, capsys):
    chain = issue()
    tool.write(chain, chain)
    code, calls = program(lambda _turn: Outcome(True, {"msg": "external: the certificate expired; give one."}, ["old"]))
    assert (code, len(calls)) == (1, 1)
    assert capsys.readouterr() == (
        "",
        "warning: old\nsmtp_tls_cert public: external: the certificate expired; give one.\n",
    )


def test_warnings_are_told_and_are_no_failure(program, tool, issue, capsys):
    chain = issue()
    tool.write(chain, chain)
    assert program(succeeds(warnings=["restart it"]))[0] == 0
    assert capsys.readouterr().err == "warning: restart it\n"


@pytest.mark.parametrize("first", ["key", "certificate"])
def test_the_program_waits_until_key_and_certificate_belong_together(program, tool, issue, first):
    old, new = issue(), issue()
    second = "certificate" if first == "key" else "key"
    tool.write(old, old)
    tool.write(**{first: new})
    tool.steps = [{}, {}, {second: new}]
    code, calls = program(succeeds("another certificate is given"))
    assert (code, tool.seconds) == (0, 1.5)
    assert calls == [(write_key(new.key), certificates_pem(new.certificates))]


@pytest.mark.parametrize("there", ["nothing", "key", "certificate"])
def test_a_file_that_is_not_there_yet_is_waited_for(program, tool, issue, there):
    chain = issue()
    if there != "nothing":
        tool.write(**{there: chain})
    tool.steps = [{}, {"key": chain, "certificate": chain}]
    code, calls = program(succeeds())
    assert (code, len(calls), tool.seconds) == (0, 1, 1.0)


def test_what_never_belongs_together_is_tried_after_a_minute_and_its_sentence_told(program, tool, issue, capsys):
    tool.write(issue(), issue())
    code, calls = program(lambda _turn: Outcome(True, {"msg": "the private key does not match"}, []))
    assert (code, len(calls)) == (1, 1)
    assert 60 < tool.seconds <= 61
    assert capsys.readouterr().err == "smtp_tls_cert public: the private key does not match\n"


def test_a_renewal_that_comes_while_the_work_is_done_is_brought_in_too(program, tool, issue):
    first, second = issue(), issue()
    tool.write(first, first)

    def answer(turn):
        if turn == 1:
            tool.write(second, second)
        return Outcome(False, {"reason": None}, [])

    code, calls = program(answer)
    assert code == 0
    assert [certificate for _key, certificate in calls] == [
        certificates_pem(chain.certificates) for chain in (first, second)
    ]


def test_a_renewal_that_comes_while_the_work_fails_is_tried_too(program, tool, issue):
    old, new = issue(), issue()
    tool.write(old, old)

    def answer(turn):
        tool.write(new, new)
        return Outcome(turn == 1, {"msg": "no.", "reason": None}, [])

    code, calls = program(answer)
    assert (code, [certificate for _key, certificate in calls]) == (
        0,
        [certificates_pem(chain.certificates) for chain in (old, new)],
    )


def test_how_it_ended_is_kept_with_when_that_began(program, tool, issue, tmp_path, monkeypatch):
    chain = issue()
    tool.write(chain, chain)
    kept = []
    endings = [
        Outcome(True, {"msg": "no\n."}, []),
        Outcome(True, {"msg": "no."}, []),
        Outcome(False, {"reason": ""}, ["12"]),
    ]
    for minute, ending in enumerate(endings):
        monkeypatch.setattr(renewal, "now", lambda minute=minute: f"2026-11-27T12:0{minute}:00Z")
        program(lambda _turn, ending=ending: ending)
        kept.append(read_last(str(tmp_path / "renewal" / "public.last.json")))
    assert [last.problem for last in kept] == ["no\\n.", "no.", None]
    assert [(last.since[14:16], last.time[14:16]) for last in kept] == [("00", "00"), ("00", "01"), ("02", "02")]
    assert kept[2].warnings == ("12",)
    assert {last.pair for last in kept} == {digest(pair_at(tool.paths))}
    assert (tmp_path / "renewal" / "public.last.json").stat().st_mode & 0o777 == 0o600


def test_what_comes_while_postfix_is_stopped_waits_and_is_no_failure_of_the_tool_that_stopped_it(
    program, tool, issue, capsys, tmp_path
):
    chain = issue()
    tool.write(chain, chain)
    tool.postfix_runs = False
    assert program(lambda _turn: Outcome(True, {"msg": "Postfix is not running."}, []))[0] == 0
    assert "public: this waits until Postfix runs: Postfix is not running." in capsys.readouterr().err
    last = read_last(str(tmp_path / "renewal" / "public.last.json"))
    assert (last.waits, last.problem) == (True, "Postfix is not running.")


def test_a_certificate_without_kept_options_ends_with_one_sentence_and_1(tmp_path, capsys):
    assert renewal.main([str(tmp_path / "renew.pyz"), "nobody"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_tool_that_writes_for_ever_ends_with_a_sentence(program, tool, issue, capsys):
    def answer(_turn):
        chain = issue()
        tool.write(chain, chain)
        return Outcome(False, {"reason": "another certificate is given"}, [])

    tool.write(issue(), issue())
    code, calls = program(answer)
    assert (code, len(calls)) == (1, renewal.TURNS)
    assert capsys.readouterr() == (
        "",
        f"smtp_tls_cert public: external: {tool.paths['private_key']} and {tool.paths['certificate']} have been replaced "
        "5 times while they were brought in; let their tool finish, and run the task that installs this certificate.\n",
    )


@pytest.mark.parametrize(
    "problem",
    [
        UnicodeDecodeError("utf-8", b"secret \xfc", 7, 8, "invalid start byte"),
        KeyError("secret"),
        RuntimeError("secret\nsecret"),
        AssertionError("secret"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_what_nobody_foresaw_ends_with_its_kind_and_no_word_of_what_it_quotes(program, tool, issue, capsys, problem):
    chain = issue()
    tool.write(chain, chain)

    def answer(_turn):
        raise problem

    assert program(answer)[0] == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "secret" not in said.err
    assert said.err.startswith(f"smtp_tls_cert public: {type(problem).__name__} in test_renewal.py, line ")


def test_what_is_quoted_cannot_break_the_line(program, tool, issue, capsys):
    chain = issue()
    tool.write(chain, chain)
    assert program(lambda _turn: Outcome(True, {"msg": "a\r\nb\x1b[31m \udcfc ü"}, ["c\nd"]))[0] == 1
    assert capsys.readouterr().err == "warning: c\\nd\nsmtp_tls_cert public: a\\r\\nb\\x1b[31m \\udcfc ü\n"


@pytest.mark.parametrize("content", ["[]", "{}", '{"external": 1}', "{", "\udcff", ""])
@pytest.mark.parametrize("words", [1, 2, 3])
def test_whatever_it_is_given_it_ends_with_one_sentence_and_1(tmp_path, capsys, content, words):
    write(str(tmp_path / "renewal" / "public.json"), content.encode("utf-8", "surrogateescape"))
    assert renewal.main([str(tmp_path / "renewal" / "renew.pyz"), "public", "more"][:words]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("smtp_tls_cert ")
