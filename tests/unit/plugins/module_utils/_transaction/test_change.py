# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import os
import shutil
import signal
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    HardeningError,
    InvalidValue,
    PostfixError,
    ProofFailed,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import NewFile, Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import change as changing
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history, journal, twin
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import (
    keep_for_later,
    turn,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, picture, read, write

TLSPROXY = "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy"


def plan(node, number=1, **over):
    files = (
        NewFile(node.store(f"domains/{number}/transport"), b"partner.example\tsmtp:[mx]\n", table=True),
        NewFile(node.store(f"certificates/default/{number}.pem"), b"key", 0o600),
    )
    return Plan(**{"set": {"smtpd_tls_security_level": "may"}, "files": files, **over})


def refuse(*_seen):
    raise ProofFailed("The wire shows something else.")


def everything(node):
    return picture(node.config_dir, node.queue_dir)


def patched(node, answer):
    """A Postfix for which ``answer(argv)`` wins where it is not ``None``."""
    return Postfix(lambda argv, stdin=None: answer(argv) or node.run(argv, stdin), node.config_dir)


def test_a_change_that_is_proven_stays(node):
    assert change(node, plan(node), live=lambda: "seen") == "seen"
    assert node.state.explicit["smtpd_tls_security_level"] == "may"
    assert ["postfix", "-c", node.config_dir, "reload"] in node.commands


@pytest.mark.parametrize("proof", ["twin", "live"])
def test_a_proof_that_fails_brings_every_byte_back(node, proof):
    os.chmod(node.path("main.cf"), 0o640)
    before = everything(node)
    with pytest.raises(ProofFailed, match="^The wire shows something else.$") as failure:
        change(node, plan(node), **{proof: refuse})
    assert everything(node) == before
    assert failure.value.facts["restored"] is True
    assert ("reload" in node.asked("postfix")) is (proof == "live")


def test_a_live_proof_that_fails_is_undone_with_a_reload_of_what_was(node):
    seen = []

    def look(argv):
        if argv[-1] == "reload":
            seen.append("smtpd_tls_security_level" in read(node.path("main.cf")))

    with pytest.raises(ProofFailed):
        change(node, plan(node), live=refuse, postfix=patched(node, look))
    assert seen == [True, False]


def test_what_postfix_refuses_when_staged_never_goes_live(node):
    node.check_answer = Completed(1, "", "fatal: bad parameter")
    before = everything(node)
    with pytest.raises(PostfixError, match="fatal: bad parameter"):
        change(node, plan(node))
    assert everything(node) == before
    assert "reload" not in node.asked("postfix")


def test_nothing_is_written_while_postfix_does_not_run(node):
    node.running = False
    before = everything(node)
    with pytest.raises(PostfixError, match="is not running, so nothing can be proven; start it first"):
        change(node, plan(node))
    assert everything(node) == before


def test_a_twin_that_does_not_start_is_undone_and_quoted(node):
    node.start_answer = Completed(1, "", "fatal: bind 127.0.0.1")
    before = everything(node)
    with pytest.raises(PostfixError) as failure:
        change(node, plan(node))
    assert str(failure.value) == "Postfix does not start with the new configuration: fatal: bind 127.0.0.1."
    assert failure.value.facts["restored"] is True
    assert everything(node) == before


def test_what_the_twin_logged_explains_why_its_proof_failed(node):
    def fail(second, services):
        log = "postfix/smtpd[1]: warning: cannot get RSA private key\npostfix/smtpd[1]: warning: lost connection\n"
        write(os.path.join(twin.folder(node.queue_dir), "log"), log)
        raise ProofFailed("A twin does not do what was asked.", proof=["seen"])

    with pytest.raises(ProofFailed) as failure:
        change(node, plan(node), twin=fail)
    assert str(failure.value) == (
        "A twin does not do what was asked. Postfix says: warning: cannot get RSA private key."
    )
    assert failure.value.facts == {"proof": ["seen"], "restored": True}


def test_a_value_that_the_twins_proof_finds_invalid_stays_one_with_what_the_twin_logged(node):
    def fail(second, services):
        write(os.path.join(twin.folder(node.queue_dir), "log"), "postfix/smtpd[1]: fatal: bad string length\n")
        raise InvalidValue("parameters", "x", "is odd", "drop it")

    before = everything(node)
    with pytest.raises(InvalidValue) as failure:
        change(node, plan(node), twin=fail)
    assert str(failure.value) == "parameters: 'x' is odd; drop it. Postfix says: fatal: bad string length."
    assert (failure.value.option, failure.value.facts) == ("parameters", {"restored": True})
    assert everything(node) == before


def test_addresses_are_looked_at_before_a_twin_starts(node):
    seen = []

    def taken(postfix, staged):
        seen.append((postfix.config_dir, staged.explicit["smtpd_tls_security_level"]))
        raise PostfixError("Somebody else has this address.")

    before = everything(node)
    with pytest.raises(PostfixError, match="^Somebody else has this address.$") as failure:
        change(node, plan(node), master=taken)
    assert seen == [(node.config_dir, "may")]
    assert failure.value.facts == {"restored": True}
    assert not any(argv[0].endswith("/master") for argv in node.commands)
    assert everything(node) == before


def test_a_table_that_does_not_answer_as_written_is_undone(node):
    before = everything(node)
    forgetful = patched(node, lambda argv: Completed(1, "", "") if "-q" in argv else None)
    with pytest.raises(PostfixError, match="does not answer as it was written; is the disk full?"):
        change(node, plan(node), postfix=forgetful)
    assert everything(node) == before


def test_obsolete_files_go_only_when_the_new_state_is_proven(node):
    old = write(node.store("certificates", "default", "next.key"), b"old")
    with pytest.raises(ProofFailed):
        change(node, plan(node, obsolete=(old,)), live=refuse)
    assert os.path.exists(old)
    change(node, plan(node, obsolete=(old,)))
    assert not os.path.exists(old)


def test_a_key_that_is_kept_for_later_is_roots_alone(node):
    path = node.store("certificates/default/next.key")
    keep_for_later(node.state, path, b"key")
    assert oct(os.stat(path).st_mode & 0o777) == "0o600"
    assert oct(os.stat(os.path.dirname(path)).st_mode & 0o777) == "0o700"


def test_a_new_service_goes_live_with_main_cf_and_comes_back_with_it(node):
    before = everything(node)
    with pytest.raises(ProofFailed):
        change(node, plan(node, services=(TLSPROXY,)), live=refuse)
    assert everything(node) == before
    change(node, plan(node, services=(TLSPROXY,)))
    assert node.services.endswith("tlsproxy unix - - y - 0 tlsproxy\n")


def test_overrides_of_a_service_go_live_with_main_cf_and_come_back_with_it(node):
    overrides = {"smtp/inet/smtpd_tls_security_level": "encrypt"}
    before = everything(node)
    with pytest.raises(ProofFailed):
        change(node, plan(node, overrides=overrides), live=refuse)
    assert everything(node) == before
    change(node, plan(node, overrides=overrides))
    assert node.services.startswith("smtp inet n - y - - smtpd -o smtpd_tls_security_level=encrypt\n")


def test_whole_files_of_an_old_state_take_the_place_of_those_of_now(node):
    old = {"main.cf": b"myhostname = old.example.com\n", "master.cf": b"smtp inet n - y - - smtpd\n"}
    change(node, Plan(contents=old))
    assert (read(node.path("main.cf")), node.services) == tuple(text.decode() for text in old.values())


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_an_old_file_that_was_empty_comes_back_empty(node, name):
    change(node, Plan(contents={name: b""}))
    assert read(node.path(name)) == ""


def test_postfix_checks_a_copy_and_a_twin_before_anything_goes_live(node):
    asked = []

    def watch(argv):
        if argv[0] in ("postfix", node.defaults["daemon_directory"] + "/master"):
            live = "smtpd_tls_security_level" in read(node.path("main.cf"))
            asked.append((os.path.relpath(argv[2], node.config_dir), argv[3], live))

    change(node, plan(node), postfix=patched(node, watch))
    config = os.path.relpath(os.path.join(twin.folder(node.queue_dir), "config"), node.config_dir)
    assert asked == [
        (".", "status", False),
        ("smtp_hardening/transaction/stage", "check", False),
        (config, "-w", False),
        (config, "-t", False),
        (".", "reload", True),
    ]


def test_the_twin_is_proven_with_the_services_that_its_listeners_stand_for(node):
    node.services += "submission inet n - y - - smtpd\n628 inet n - y - - qmqpd\n"
    proven = []
    change(node, plan(node), twin=lambda second, services: proven.append((second.config_dir, services)))
    assert proven == [(os.path.join(twin.folder(node.queue_dir), "config"), ["smtp/inet", "submission/inet"])]


def test_nothing_is_left_of_stage_journal_and_twin(node):
    change(node, plan(node))
    assert sorted(os.listdir(node.store())) == ["certificates", "domains", "history"]
    assert os.listdir(node.queue_dir) == []


def test_what_a_killed_run_left_on_the_stage_is_in_nobodys_way(node):
    stage = node.store("transaction", "stage")
    write(os.path.join(stage, "main.cf"), "smtpd_tls_security_level = none\nrelayhost = [evil.example]\n")
    with turn(node.postfix, check_mode=False) as interrupted:
        change(node, plan(node))
    assert interrupted is None
    assert "relayhost" not in node.state.explicit
    assert not os.path.exists(stage)


def test_main_cf_keeps_its_mode_though_postconf_writes_it_anew(node):
    os.chmod(node.path("main.cf"), 0o640)

    def edit(argv):
        done = node.run(argv)
        if "-e" in argv:
            os.chmod(os.path.join(argv[2], "main.cf"), 0o600)
        return done

    change(node, plan(node), postfix=patched(node, lambda argv: edit(argv) if argv[0] == "postconf" else None))
    assert os.stat(node.path("main.cf")).st_mode & 0o777 == 0o640


def test_an_untouched_master_cf_is_not_replaced(node):
    before = os.stat(node.path("master.cf"))
    change(node, plan(node))
    after = os.stat(node.path("master.cf"))
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (before.st_ino, before.st_mtime_ns, 1)


def test_other_files_of_the_configuration_are_not_touched(node):
    other = write(node.path("virtual"), "postmaster root\n")
    before = os.stat(other)
    change(node, plan(node))
    assert (os.stat(other).st_ino, os.stat(other).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_main_cf_that_is_a_link_out_of_the_folder_is_refused_and_untouched(node, tmp_path):
    os.rename(node.path("main.cf"), tmp_path / "shared.cf")
    os.symlink(tmp_path / "shared.cf", node.path("main.cf"))
    before = picture(tmp_path)
    with pytest.raises(HardeningError, match="is a symbolic link to .+, outside of the configuration directory"):
        change(node, plan(node))
    assert picture(tmp_path) == before


def test_a_main_cf_that_is_a_link_within_the_folder_stays_one(node):
    os.rename(node.path("main.cf"), node.path("main.cf.real"))
    os.symlink("main.cf.real", node.path("main.cf"))
    change(node, plan(node))
    assert os.readlink(node.path("main.cf")) == "main.cf.real"
    assert node.state.explicit["smtpd_tls_security_level"] == "may"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_a_run_that_is_interrupted_brings_everything_back(node, interruption):
    def interrupt():
        raise interruption

    before = everything(node)
    with pytest.raises(interruption):
        change(node, plan(node), live=interrupt)
    assert everything(node) == before
    assert node.asked("postfix")[-1] == "reload"


def test_a_full_disk_brings_everything_back_and_is_a_sentence(node):
    def full():
        raise OSError(28, "No space left on device", "/var/spool")

    before = everything(node)
    with pytest.raises(PostfixError) as failure:
        change(node, plan(node), live=full)
    assert str(failure.value) == "/var/spool: No space left on device. Everything is as it was before."
    assert failure.value.facts == {"restored": True}
    assert everything(node) == before


def test_a_reload_that_fails_brings_everything_back(node):
    answers = [Completed(1, "", "fatal: reload"), Completed(0, "", "")]
    before = everything(node)
    postfix = patched(node, lambda argv: answers.pop(0) if argv[-1] == "reload" else None)
    with pytest.raises(PostfixError, match="reload fails: fatal: reload") as failure:
        change(node, plan(node), postfix=postfix)
    assert everything(node) == before
    assert failure.value.facts["restored"] is True
    assert answers == []


def test_a_reload_that_fails_while_undoing_is_told_with_the_files_back(node):
    answers = [None, Completed(1, "", "fatal: gone")]
    before = everything(node)
    postfix = patched(node, lambda argv: answers.pop(0) if argv[-1] == "reload" else None)
    with pytest.raises(ProofFailed) as failure:
        change(node, plan(node), live=refuse, postfix=postfix)
    assert str(failure.value) == (
        "The wire shows something else. Postfix could not be reloaded with the old configuration: "
        f"postfix -c {node.config_dir} reload fails: fatal: gone."
    )
    assert failure.value.facts["restored"] is True
    assert everything(node) == before


@pytest.mark.parametrize(
    ("problem", "kind", "sentence"),
    [
        (
            OSError(28, "No space left on device", "/var/spool"),
            PostfixError,
            "/var/spool: No space left on device. Everything is as it was before.",
        ),
        (InvalidValue("domains", "a", "is odd", "drop it"), InvalidValue, "domains: 'a' is odd; drop it."),
    ],
)
def test_a_reload_that_fails_while_undoing_is_told_whatever_went_wrong_before(node, problem, kind, sentence):
    answers = [None, Completed(1, "", "fatal: gone")]

    def fail():
        raise problem

    before = everything(node)
    postfix = patched(node, lambda argv: answers.pop(0) if argv[-1] == "reload" else None)
    with pytest.raises(kind) as failure:
        change(node, plan(node), live=fail, postfix=postfix)
    assert isinstance(failure.value, kind)
    assert str(failure.value) == (
        f"{sentence} Postfix could not be reloaded with the old configuration: "
        f"postfix -c {node.config_dir} reload fails: fatal: gone."
    )
    assert failure.value.facts == {"restored": True}
    assert everything(node) == before


def test_a_postfix_that_ended_because_of_the_change_is_started_with_what_was(node):
    def end():
        node.running = False
        raise ProofFailed("Nobody answers.")

    before = everything(node)
    with pytest.raises(ProofFailed, match=r"^Nobody answers\.$"):
        change(node, plan(node), live=end)
    assert node.asked("postfix")[-2:] == ["status", "start"]
    assert everything(node) == before


def test_an_undo_that_fails_says_where_the_old_files_lie_and_the_next_run_brings_them_back(node, monkeypatch):
    before = everything(node)

    def stuck(postfix, log, was_running):
        raise OSError(30, "Read-only file system", node.path("main.cf"))

    monkeypatch.setattr(changing.journal, "undo", stuck)
    with pytest.raises(HardeningError) as failure:
        change(node, plan(node), live=refuse)
    monkeypatch.undo()
    assert str(failure.value) == (
        f"The wire shows something else. Undoing it failed too: {node.path('main.cf')}: Read-only file system. "
        "The next run of any module undoes it; "
        f"until then, what was lies in {node.store('transaction')}/was."
    )
    assert "restored" not in failure.value.facts
    with turn(node.postfix, check_mode=False) as interrupted:
        assert interrupted["undone"] is True
    assert everything(node) == before


@pytest.mark.parametrize("unused", [["smtpd_tls_bogus"], ["smtpd_tls_bogus", "my_note"]])
def test_a_parameter_that_this_postfix_does_not_know_never_goes_live(node, unused):
    node.unused = unused
    before = everything(node)
    with pytest.raises(PostfixError) as failure:
        change(node, plan(node, set=dict.fromkeys(unused, "1")))
    said = "; ".join(f"postconf: warning: main.cf: unused parameter: {name}=1" for name in sorted(unused))
    assert str(failure.value) == f"Postfix warns of the new configuration: {said}."
    assert everything(node) == before


def test_an_operators_own_unused_parameter_is_not_held_against_a_change(node):
    node.append("my_note = hello\n")
    node.unused = ["my_note"]
    change(node, plan(node))
    assert node.state.explicit["smtpd_tls_security_level"] == "may"


def test_a_state_is_remembered_as_found_and_as_made(node):
    change(node, plan(node), author=Author("smtp_tls_mode", "Set it"))
    found, made = history.past(node.config_dir)
    assert (found.author, found.summary, found.proven) == (Author("-"), "as found, made by other means", False)
    assert (made.author, made.proven) == (Author("smtp_tls_mode", "Set it"), True)
    assert made.summary == "set: smtpd_tls_security_level; files: domains/1/transport, certificates/default/1.pem"
    assert made.content("main.cf").decode() == read(node.path("main.cf"))


def test_a_change_that_stands_is_not_undone_because_rubbish_cannot_be_removed(node, monkeypatch):
    def stuck(config_dir):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(changing.history, "forget_old", stuck)
    change(node, plan(node))
    assert node.state.explicit["smtpd_tls_security_level"] == "may"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_whatever_command_undoes_what_was_begun(node, number):
    handler = signal.getsignal(number)
    before = everything(node)
    said = []

    def interrupted_at(moment):
        said.clear()

        def leave(argv):
            said.append(argv)
            if len(said) == moment:
                os.kill(os.getpid(), number)

        try:
            change(node, plan(node, services=(TLSPROXY,)), postfix=patched(node, leave))
        except SystemExit as end:
            assert end.code == 128 + number
            assert everything(node) == before, said[moment - 1]
            return True
        return False

    moment = 2  # the first command asks whether Postfix runs: nothing has begun
    while interrupted_at(moment):
        moment += 1
    assert said[-1][-1] == "reload"
    assert len(said) == moment - 1
    assert node.services.endswith("tlsproxy unix - - y - 0 tlsproxy\n")
    assert signal.getsignal(number) is handler


STEPS = "chmod link mkdir rename replace rmdir symlink unlink".split()


def killed(node, at, changes):
    """Whether a run in a process of its own dies just before its n-th step on the file system."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        steps = itertools.count(1)

        def counted(call):
            def step(*arguments, **options):
                if next(steps) == at:
                    os._exit(KILLED)
                return call(*arguments, **options)

            return step

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        change(node, changes)
        os._exit(0)
    finally:
        os._exit(1)


KILLED = 9


def test_a_run_that_is_killed_at_whatever_step_is_undone_or_complete_after_the_next(node, tmp_path):
    change(node, plan(node))
    os.symlink("/nowhere", node.path("dynamicmaps.cf.d"))
    before = everything(node)
    for folder in (node.config_dir, node.queue_dir):
        shutil.copytree(folder, tmp_path / "kept" / os.path.basename(folder), symlinks=True)
    undone = complete = 0
    for at in itertools.count(1):
        wanted = plan(
            node, 2, set={"transport_maps": f"hash:{node.store('domains/2/transport')}"}, services=(TLSPROXY,)
        )
        exit_code = killed(node, at, wanted)
        if exit_code == 0:
            break
        assert exit_code == KILLED
        with turn(node.postfix, check_mode=False) as interrupted:
            assert journal.find(node.config_dir) is None
        if everything(node) == before:
            undone += 1
        else:
            complete += 1
            assert interrupted is None
            assert node.state.service("tlsproxy", "unix")
            assert os.path.exists(node.state.explicit["transport_maps"].partition(":")[2])
            assert sorted(os.listdir(node.store())) == ["certificates", "domains", "history"]
            assert os.listdir(node.queue_dir) == []
        for folder in (node.config_dir, node.queue_dir):
            shutil.rmtree(folder)
            shutil.copytree(tmp_path / "kept" / os.path.basename(folder), folder, symlinks=True)
    assert undone > 40
    assert complete > 5


def test_modes_of_what_is_brought_keep_keys_for_root_alone(node):
    maps = f"hash:{node.store('domains/1/transport')}"
    change(node, plan(node, set={"transport_maps": maps}))
    modes = {
        name: stat.S_IMODE(os.stat(node.store(name)).st_mode)
        for name in ("", "certificates", "certificates/default/1.pem", "domains/1", "domains/1/transport", "history")
    }
    assert modes == {
        "": 0o755,
        "certificates": 0o700,
        "certificates/default/1.pem": 0o600,
        "domains/1": 0o755,
        "domains/1/transport": 0o644,
        "history": 0o700,
    }


def test_turn_finds_nothing_where_nothing_was_interrupted(node):
    before = everything(node)
    with turn(node.postfix, check_mode=False) as interrupted:
        assert interrupted is None
    assert everything(node) == before
    assert node.commands == []
    assert journal.find(node.config_dir) is None


@pytest.mark.parametrize("reuse", ["yes", "no"])
def test_deliveries_that_reuse_connections_end_before_their_files_change(node, monkeypatch, reuse):
    node.append(f"smtp_tls_connection_reuse = {reuse}\nsmtp_tls_chain_files = /a.pem\n")
    seen = []

    def told():
        explicit, reloads = node.state.explicit, sum("reload" in command for command in node.commands)
        return explicit["smtp_tls_connection_reuse"], explicit["smtp_tls_chain_files"], reloads

    monkeypatch.setattr(changing.handover, "daemons", lambda master, name: [(name, *told())])
    monkeypatch.setattr(changing.handover, "wait_for_end", lambda pids, master, name: seen.extend(pids))
    change(node, Plan(set={"smtp_tls_chain_files": "/b.pem"}))
    assert seen == ([("smtp", "no", "/a.pem", 0), ("tlsproxy", "no", "/b.pem", 1)] if reuse == "yes" else [])
    explicit = node.state.explicit
    assert (explicit["smtp_tls_connection_reuse"], explicit["smtp_tls_chain_files"]) == (reuse, "/b.pem")


@pytest.mark.parametrize("proof", ["twin", "live"])
def test_a_handover_is_undone_with_the_change_that_it_was_for(node, monkeypatch, proof):
    node.append("smtp_tls_connection_reuse = yes\nsmtp_tls_chain_files = /a.pem\n")
    monkeypatch.setattr(changing.handover, "daemons", lambda master, name: [])
    before = everything(node)
    with pytest.raises(ProofFailed):
        change(node, Plan(set={"smtp_tls_chain_files": "/b.pem"}), **{proof: refuse})
    assert everything(node) == before
