# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError, ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import NewFile, Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import carry_out, keep_pending_key


def picture(folder):
    """Every file and folder with contents, mode and time of change."""
    seen = {}
    for path, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            full = os.path.join(path, name)
            found = os.stat(full)
            content = None
            if os.path.isfile(full):
                with open(full, "rb") as handle:
                    content = handle.read()
            seen[full] = (content, found.st_mode, found.st_mtime_ns if content is not None else None)
    return seen


def plan(node, **over):
    store = os.path.join(node.config_dir, "smtp_hardening")
    files = (
        NewFile(os.path.join(store, "domains/1/transport"), b"partner.example\tsmtp:[mx]\n", table=True),
        NewFile(os.path.join(store, "certificates/default/1.pem"), b"key", 0o600),
    )
    return Plan(**{"set": {"smtpd_tls_security_level": "may"}, "files": files, **over})


def refuse():
    raise ProofFailed("the wire shows something else")


def test_a_change_that_is_proven_stays(node):
    seen = carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: "seen")
    assert seen == "seen"
    assert read_state(node.postfix).explicit["smtpd_tls_security_level"] == "may"
    assert ["postfix", "-c", node.config_dir, "reload"] in node.commands


def test_a_proof_that_fails_brings_every_byte_back(node):
    os.chmod(os.path.join(node.config_dir, "main.cf"), 0o640)
    before = picture(node.config_dir)
    with pytest.raises(ProofFailed) as failure:
        carry_out(node.postfix, read_state(node.postfix), plan(node), refuse)
    assert picture(node.config_dir) == before
    assert failure.value.facts["restored"] is True
    assert node.commands[-1][-1] == "reload"


def test_what_postfix_refuses_when_staged_never_goes_live(node):
    node.check_answer = Completed(1, "", "fatal: bad parameter")
    before = picture(node.config_dir)
    with pytest.raises(PostfixError, match="fatal: bad parameter"):
        carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert picture(node.config_dir) == before
    assert not any(argv[-1] == "reload" for argv in node.commands)


def test_nothing_is_written_while_postfix_does_not_run(node):
    node.running = False
    before = picture(node.config_dir)
    with pytest.raises(PostfixError, match="is not running, so nothing can be proven; start it first"):
        carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert picture(node.config_dir) == before


def test_a_table_that_does_not_answer_as_written_is_undone(node):
    before = picture(node.config_dir)
    wrong = NewFile(os.path.join(node.config_dir, "smtp_hardening/domains/1/transport"), b"a\tb\n", table=True)
    forgetful = node.postfix
    forgetful.ask_table = lambda *question: ()
    with pytest.raises(PostfixError, match="does not answer as it was written"):
        carry_out(forgetful, read_state(node.postfix), plan(node, files=(wrong,)), lambda: None)
    assert picture(node.config_dir) == before


def test_old_files_go_only_when_the_new_state_is_proven(node):
    old = os.path.join(node.config_dir, "smtp_hardening", "old.pem")
    os.makedirs(os.path.dirname(old))
    with open(old, "wb") as handle:
        handle.write(b"old")
    with pytest.raises(ProofFailed):
        carry_out(node.postfix, read_state(node.postfix), plan(node, obsolete=(old,)), refuse)
    assert os.path.exists(old)
    carry_out(node.postfix, read_state(node.postfix), plan(node, obsolete=(old,)), lambda: None)
    assert not os.path.exists(old)


def test_a_pending_key_is_roots_alone(node):
    path = os.path.join(node.config_dir, "smtp_hardening/certificates/default/pending.key")
    keep_pending_key(read_state(node.postfix), path, b"key")
    assert oct(os.stat(path).st_mode & 0o777) == "0o600"
    assert oct(os.stat(os.path.dirname(path)).st_mode & 0o777) == "0o700"
