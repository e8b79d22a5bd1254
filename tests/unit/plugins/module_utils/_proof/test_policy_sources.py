# SPDX-License-Identifier: GPL-3.0-or-later
"""A map that Postfix gets no answer from makes mail wait, and is told."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.policy_sources import NOBODY, ask_sources

OURS = "socketmap:inet:127.0.0.1:8462:policy"
SILENT = "postmap: warning: connect to 127.0.0.1:8462: Connection refused\npostmap: fatal: table x: query error: x\n"


@pytest.fixture
def asked(node):
    """What is found by a postmap that answers as given, by map; and the commands that it was given."""

    def ask(answers):
        def run(argv, stdin=None):
            commands.append(argv)
            answer = answers[argv[-1]]
            if isinstance(answer, Exception):
                raise answer
            return answer

        commands = []
        return ask_sources(Postfix(run, node.config_dir), node.state), commands

    return ask


def test_without_maps_nobody_is_asked(asked):
    assert asked({}) == ({}, [])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Completed(1, "", ""), None),
        (Completed(0, "secure\n", ""), None),
        (Completed(1, "", "postmap: warning: /etc/postfix/main.cf, line 7: overriding earlier entry\n"), None),
        (
            Completed(1, "", SILENT),
            "postmap: warning: connect to 127.0.0.1:8462: Connection refused; postmap: fatal: table x: query error: x",
        ),
        (PostfixError("postmap has not ended after 20 seconds."), "postmap has not ended after 20 seconds."),
    ],
)
def test_each_map_is_asked_for_a_domain_that_there_is_not(node, asked, answer, problem):
    node.append(f"smtp_tls_policy_maps = {OURS}\n")
    found, commands = asked({OURS: answer})
    assert found == {OURS: problem}
    assert commands == [["postmap", "-c", node.config_dir, "-q", NOBODY, OURS]]


def test_the_maps_of_single_clients_are_asked_too_each_once(node, asked):
    inline = "inline:{ { a.example = secure match=b.example } }"
    node.append(f"smtp_tls_policy_maps = {inline}, {OURS}\n")
    node.override("relay/unix/smtp_tls_policy_maps=socketmap:inet:127.0.0.1:1:x")
    found, commands = asked(dict.fromkeys([inline, OURS, "socketmap:inet:127.0.0.1:1:x"], Completed(1, "", "")))
    assert list(found) == [command[-1] for command in commands] == [inline, OURS, "socketmap:inet:127.0.0.1:1:x"]
