# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that is interrupted, by a signal or by its death at whatever step, is undone or complete."""

from __future__ import annotations

import itertools
import os
import shutil
import signal

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import journal
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import turn
from ansible_collections.mailfleet.smtp_hardening.tests.unit.changes import TLSPROXY, everything, patched, plan
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, write


def test_what_a_killed_run_left_on_the_stage_is_in_nobodys_way(node):
    stage = node.store("transaction", "stage")
    write(os.path.join(stage, "main.cf"), "smtpd_tls_security_level = none\nrelayhost = [evil.example]\n")
    with turn(node.postfix, check_mode=False) as interrupted:
        change(node, plan(node))
    assert interrupted is None
    assert "relayhost" not in node.state.explicit
    assert not os.path.exists(stage)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_a_run_that_is_interrupted_brings_everything_back(node, interruption):
    def interrupt():
        raise interruption

    before = everything(node)
    with pytest.raises(interruption):
        change(node, plan(node), live=interrupt)
    assert everything(node) == before
    assert node.asked("postfix")[-1] == "reload"


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
