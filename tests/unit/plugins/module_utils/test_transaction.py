# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _transaction
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError, ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
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


def add_tlsproxy(node):
    """The fake's postconf keeps no master.cf, so this one edits it as ``postconf -Me`` does."""
    run = node.run

    def edit(argv, stdin=None):
        if argv[0] == "postconf" and argv[3] == "-Me":
            with open(os.path.join(argv[2], "master.cf"), "a", encoding="utf-8") as handle:
                handle.write(argv[4].partition("=")[2] + "\n")
        return run(argv, stdin) if "-Me" not in argv else Completed(0, "", "")

    return Postfix(edit, node.config_dir)


def test_a_new_service_goes_live_with_main_cf_and_comes_back_with_it(node):
    service = "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy"
    before = picture(node.config_dir)
    with pytest.raises(ProofFailed):
        carry_out(add_tlsproxy(node), read_state(node.postfix), plan(node, services=(service,)), refuse)
    assert picture(node.config_dir) == before
    carry_out(add_tlsproxy(node), read_state(node.postfix), plan(node, services=(service,)), lambda: None)
    with open(os.path.join(node.config_dir, "master.cf"), encoding="utf-8") as handle:
        assert handle.read().endswith("tlsproxy unix - - y - 0 tlsproxy\n")


def test_postfix_checks_a_staged_copy_before_anything_goes_live(node):
    asked = []
    postfix = node.postfix
    run = postfix.run

    def watch(argv, stdin=None):
        if argv[0] == "postfix":
            with open(os.path.join(node.config_dir, "main.cf"), encoding="utf-8") as handle:
                asked.append((argv[-1], argv[2] == node.config_dir, "smtpd_tls_security_level" in handle.read()))
        return run(argv, stdin)

    carry_out(Postfix(watch, node.config_dir), read_state(postfix), plan(node), lambda: None)
    assert asked == [("status", True, False), ("check", False, False), ("reload", True, True)]


def test_nothing_is_left_of_the_stage(node):
    carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert sorted(os.listdir(os.path.join(node.config_dir, "smtp_hardening"))) == ["certificates", "domains"]


def test_what_a_killed_run_left_on_the_stage_is_in_nobodys_way(node):
    stage = os.path.join(node.config_dir, "smtp_hardening", "stage")
    os.makedirs(stage)
    with open(os.path.join(stage, "main.cf"), "w", encoding="utf-8") as handle:
        handle.write("smtpd_tls_security_level = none\nrelayhost = [evil.example]\n")
    carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert "relayhost" not in read_state(node.postfix).explicit
    assert not os.path.exists(stage)


def test_main_cf_keeps_its_mode_though_postconf_writes_it_anew(node):
    path = os.path.join(node.config_dir, "main.cf")
    os.chmod(path, 0o640)

    def run(argv, stdin=None):
        done = node.run(argv, stdin)
        if "-e" in argv:
            os.chmod(os.path.join(argv[2], "main.cf"), 0o600)
        return done

    carry_out(Postfix(run, node.config_dir), read_state(node.postfix), plan(node), lambda: None)
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_an_untouched_master_cf_is_not_replaced(node):
    path = os.path.join(node.config_dir, "master.cf")
    before = os.stat(path)
    carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert (os.stat(path).st_ino, os.stat(path).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_other_files_of_the_configuration_are_not_touched(node):
    other = os.path.join(node.config_dir, "virtual")
    with open(other, "wb") as handle:
        handle.write(b"postmaster root\n")
    before = os.stat(other)
    carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert (os.stat(other).st_ino, os.stat(other).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_trust_file_that_is_replaced_comes_back_as_it_was(node):
    path = os.path.join(node.config_dir, "smtp_hardening", "trust.pem")
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as handle:
        handle.write(b"old CA")
    before = picture(node.config_dir)
    with pytest.raises(ProofFailed):
        carry_out(node.postfix, read_state(node.postfix), plan(node, files=(NewFile(path, b"new CA"),)), refuse)
    assert picture(node.config_dir) == before


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_a_run_that_is_interrupted_brings_everything_back(node, interruption):
    def interrupt():
        raise interruption

    before = picture(node.config_dir)
    with pytest.raises(interruption):
        carry_out(node.postfix, read_state(node.postfix), plan(node), interrupt)
    assert picture(node.config_dir) == before
    assert node.commands[-1][-1] == "reload"


def test_a_reload_that_fails_brings_everything_back(node):
    before = picture(node.config_dir)
    postfix = node.postfix
    answers = [Completed(1, "", "fatal: reload"), Completed(0, "", "")]
    run = postfix.run
    postfix.run = lambda argv, stdin=None: answers.pop(0) if argv[-1] == "reload" else run(argv, stdin)
    with pytest.raises(PostfixError, match="reload fails: fatal: reload") as failure:
        carry_out(postfix, read_state(node.postfix), plan(node), lambda: None)
    assert picture(node.config_dir) == before
    assert failure.value.facts["restored"] is True
    assert answers == []


@pytest.mark.parametrize(
    ("complaint", "problem"),
    [
        ("postconf: warning: /p/main.cf: unused parameter: smtpd_tls_bogus=1\n", "smtpd_tls_bogus=1"),
        ("postconf: warning: /p/main.cf: undefined parameter: mydomain\n", None),
        ("", None),
    ],
)
def test_a_parameter_that_this_postfix_does_not_know_never_goes_live(node, complaint, problem):
    node.check_answer = Completed(0, "", complaint)
    if problem is None:
        carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
        return
    before = picture(node.config_dir)
    with pytest.raises(PostfixError, match="^Postfix does not know a parameter of the new configuration: .*bogus=1.$"):
        carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert picture(node.config_dir) == before


def test_an_operators_own_unused_parameter_is_not_held_against_a_change(node):
    node.complaints = "postconf: warning: /p/main.cf: unused parameter: my_note=hello\n"
    carry_out(node.postfix, read_state(node.postfix), plan(node), lambda: None)
    assert read_state(node.postfix).explicit["smtpd_tls_security_level"] == "may"


def test_two_runs_do_not_change_one_instance_at_once(node, monkeypatch):
    monkeypatch.setattr(_transaction, "LOCK_SECONDS", -1)
    before = picture(node.config_dir)

    def meanwhile():
        with pytest.raises(PostfixError, match="has been locked by another run"):
            carry_out(node.postfix, read_state(node.postfix), plan(node, set={"relayhost": "x"}), lambda: None)

    carry_out(node.postfix, read_state(node.postfix), plan(node), meanwhile)
    assert set(before) <= set(picture(node.config_dir))
    assert "relayhost" not in read_state(node.postfix).explicit
    carry_out(node.postfix, read_state(node.postfix), plan(node, set={"relayhost": "x"}), lambda: None)
    assert read_state(node.postfix).explicit["relayhost"] == "x"
