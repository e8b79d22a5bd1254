# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix


class Recorder:
    """A runner that gives one answer and writes down what it was asked."""

    def __init__(self, rc=0, stdout="", stderr=""):
        self.answer = Completed(rc, stdout, stderr)
        self.asked = []

    def __call__(self, argv, stdin=None):
        self.asked.append((argv, stdin))
        return self.answer


@pytest.fixture
def recorder():
    return Recorder()


@pytest.mark.parametrize(
    ("order", "argv"),
    [
        (lambda p: p.postconf("-n"), ["postconf", "-c", "/etc/postfix-out", "-n"]),
        (lambda p: p.reload(), ["postfix", "-c", "/etc/postfix-out", "reload"]),
        (lambda p: p.is_running(), ["postfix", "-c", "/etc/postfix-out", "status"]),
        (lambda p: p.build_table("/t/transport", "lmdb"), ["postmap", "-c", "/etc/postfix-out", "lmdb:/t/transport"]),
        (
            lambda p: p.build_table("/t/table", "lmdb", embeds=True),
            ["postmap", "-c", "/etc/postfix-out", "-F", "lmdb:/t/table"],
        ),
    ],
)
def test_every_command_speaks_to_the_instance(recorder, order, argv):
    order(Postfix(recorder, "/etc/postfix-out"))
    assert recorder.asked == [(argv, None)]


def test_the_same_commands_work_on_a_staged_copy(recorder):
    Postfix(recorder, "/etc/postfix").at("/etc/postfix/smtp_hardening/stage").postconf("-x")
    assert recorder.asked[0][0] == ["postconf", "-c", "/etc/postfix/smtp_hardening/stage", "-x"]


@pytest.mark.parametrize(
    ("edits", "calls"),
    [
        ([{}], []),
        (
            [{"smtpd_tls_security_level": "may", "smtp_tls_protocols": ">=TLSv1.2"}],
            [["-e", "smtpd_tls_security_level=may", "smtp_tls_protocols=>=TLSv1.2"]],
        ),
        ([{}, ("smtpd_tls_CApath",)], [["-X", "smtpd_tls_CApath"]]),
        (
            [{"a": "1"}, ("b", "c"), ("tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy",)],
            [["-e", "a=1"], ["-X", "b", "c"], ["-Me", "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy"]],
        ),
        (
            [{}, (), (), {"smtp/inet/a": "1", "smtp/inet/b": None, "587/inet/a": "", "587/inet/c": None}],
            [["-Pe", "smtp/inet/a=1", "587/inet/a="], ["-PX", "smtp/inet/b", "587/inet/c"]],
        ),
    ],
)
def test_an_edit_costs_one_call_a_kind_and_none_for_nothing(recorder, edits, calls):
    Postfix(recorder, "/etc/postfix").edit(*edits)
    assert [argv[3:] for argv, _stdin in recorder.asked] == calls


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            (1, "", "postconf: fatal: open main.cf\npostconf: bye\n"),
            "postconf -c /p -n fails: postconf: fatal: open main.cf; postconf: bye.",
        ),
        ((1, "told on stdout\n", ""), "postconf -c /p -n fails: told on stdout."),
        ((75, "", ""), "postconf -c /p -n fails: exit status 75 and no message."),
    ],
)
def test_a_command_that_fails_is_quoted_in_one_line(answer, sentence):
    with pytest.raises(PostfixError) as failure:
        Postfix(Recorder(*answer), "/p").postconf("-n")
    assert str(failure.value) == sentence


def test_what_postconf_warns_of_in_both_files_is_told_without_the_folder():
    recorder = Recorder(0, "", "postconf: warning: /p/main.cf: unused parameter: a=1\n")
    assert list(Postfix(recorder, "/p").warnings().values()) == ["postconf: warning: main.cf: unused parameter: a=1"]
    assert [argv for argv, _stdin in recorder.asked] == [["postconf", "-c", "/p", "-n"], ["postconf", "-c", "/p", "-P"]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("main.cf: unused parameter: a=hash:/p/x", "main.cf: unused parameter: a=hash:/p/y", True),
        ("main.cf, line 7: overriding earlier entry: a=1", "main.cf, line 5: overriding earlier entry: a=2", True),
        ("main.cf: unused parameter: a=1", "main.cf: unused parameter: b=1", False),
        ("main.cf: unused parameter: a=1", "quota.cf: unused parameter: a=1", False),
        ("main.cf: undefined parameter: a", "main.cf: unused parameter: a=1", False),
    ],
)
def test_a_warning_of_the_same_thing_is_the_same_in_another_line_and_with_another_value(one, other, same):
    about = [
        list(Postfix(Recorder(0, "", f"postconf: warning: /p/{said}\n"), "/p").warnings()) for said in (one, other)
    ]
    assert (about[0] == about[1]) is same


def test_a_check_that_only_warns_refuses_nothing(recorder):
    recorder.answer = Completed(0, "", "postfix: warning: something\n")
    Postfix(recorder, "/p").check()
    assert recorder.asked == [(["postfix", "-c", "/p", "check"], None)]


def test_a_check_that_fails_says_why():
    with pytest.raises(PostfixError, match="^postfix check refuses the new configuration: fatal: bad; level.$"):
        Postfix(Recorder(1, "", "fatal: bad\nlevel\n"), "/p").check()


@pytest.mark.parametrize(("rc", "running"), [(0, True), (1, False)])
def test_a_status_tells_whether_postfix_runs(rc, running):
    assert Postfix(Recorder(rc), "/p").is_running() is running


@pytest.mark.parametrize(
    ("rc", "stdout", "answers"),
    [
        (
            0,
            "a.example\tsmtp:[mx]\nb.example\tsecure match=x match=y\n",
            (
                ("a.example", "smtp:[mx]"),
                ("b.example", "secure match=x match=y"),
            ),
        ),
        (1, "", ()),
    ],
)
def test_a_table_is_asked_for_all_keys_at_once(rc, stdout, answers):
    recorder = Recorder(rc, stdout)
    assert Postfix(recorder, "/p").ask_table("/t/transport", "hash", ["a.example", "b.example"]) == answers
    assert recorder.asked == [(["postmap", "-c", "/p", "-q", "-", "hash:/t/transport"], "a.example\nb.example\n")]


@pytest.mark.parametrize(
    ("rc", "stdout", "stderr", "problem"),
    [
        (0, "secure\n", "", None),
        (1, "", "", None),
        (1, "", "postmap: warning: /p/main.cf, line 7: overriding earlier entry\n", None),
        (0, "secure\n", "postmap: warning: fatal: is a word of somebody's\n", None),
        (
            1,
            "",
            "postmap: warning: no\npostmap: fatal: query error\n",
            "postmap: warning: no; postmap: fatal: query error",
        ),
    ],
)
def test_a_table_without_an_entry_has_answered_and_one_with_an_error_has_not(rc, stdout, stderr, problem):
    asked = []

    def run(argv, stdin=None):
        asked.append(argv)
        return Completed(rc, stdout, stderr)

    assert Postfix(run, "/p").why_unanswered("socketmap:unix:/s:n", "a.example") == problem
    assert asked == [["postmap", "-c", "/p", "-q", "a.example", "socketmap:unix:/s:n"]]


def test_a_table_that_cannot_be_asked_is_named():
    with pytest.raises(PostfixError, match="^postmap -q hash:/t fails: unsupported dictionary type: hash.$"):
        Postfix(Recorder(75, "", "unsupported dictionary type: hash"), "/p").ask_table("/t", "hash", ["a"])


@pytest.mark.parametrize(("number", "calls"), [(0, 0), (1, 1), (50_000, 1)])
def test_a_table_is_asked_for_all_keys_in_one_call_however_many_they_are(node, number, calls):
    path = node.path("transport")
    node.tables[path] = {f"{key:05}.partner.example": f"smtp:[mx{key}.example]" for key in range(0, 50_000, 2)}
    keys = [f"{key:05}.partner.example" for key in range(number)]
    heard = []

    def listening(argv, stdin=None):
        heard.append(stdin)
        return node.run(argv, stdin)

    answers = Postfix(listening, node.config_dir).ask_table(path, "hash", keys)
    assert answers == tuple((key, node.tables[path][key]) for key in keys[::2])
    assert "".join(heard) == "".join(f"{key}\n" for key in keys)
    assert len(heard) == calls


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\udce4"])
def test_no_other_character_than_a_newline_ends_a_line_of_a_table(odd):
    recorder = Recorder(0, f"a.example\tsmtp:{odd}[mx]\nb.example\tx\n")
    answers = Postfix(recorder, "/p").ask_table("/t", "hash", ["a.example", "b.example"])
    assert answers == (("a.example", f"smtp:{odd}[mx]"), ("b.example", "x"))
