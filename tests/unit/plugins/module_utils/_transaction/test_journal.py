# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files as files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import journal, twin
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import turn
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, read, write

AUTHOR = Author("smtp_tls_mode", "Set it")
TIME = "2026-11-24T12:00:00Z"


def everything(node):
    return picture(node.config_dir, node.queue_dir)


def begin(node):
    """What a change has done when its first step is over."""
    created = [node.store("certificates"), node.store("history")]
    os.makedirs(node.store())
    before = everything(node)
    log = journal.begin(node.config_dir, AUTHOR, TIME, node.queue_dir, created)
    return before, log


def put_files(node):
    write(node.store("certificates", "default", "1.pem"), "key")
    write(node.store("history", "1", "main.cf"), "as found")
    for name in journal.CONFIGURATION:
        write(node.store("transaction", "stage", name), "new\n")


def make_twin(node):
    write(os.path.join(twin.folder(node.queue_dir), "config", "main.cf"), "queue_directory = elsewhere\n")


def swap(name):
    def step(node):
        live, kept = node.path(name), node.store("transaction", "was", name)
        journal.put(live, kept, node.store("transaction", "stage", name), files.read(kept))

    return step


def bring_back(name):
    return lambda node: os.replace(node.store("transaction", "was", name), node.path(name))


def drop_files(node):
    files.remove(node.store("history"))
    files.remove(node.store("certificates"))


STEPS = [
    put_files,
    make_twin,
    swap("master.cf"),
    swap("main.cf"),
    bring_back("main.cf"),
    bring_back("master.cf"),
    drop_files,
]
MOMENTS = [
    "only saved",
    "files put",
    "twin runs",
    "master.cf swapped",
    "both swapped",
    "main.cf back",
    "both back",
    "all",
]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("done", range(len(STEPS) + 1), ids=MOMENTS)
def test_a_change_is_undone_from_wherever_it_was_killed(node, done, times):
    before, _log = begin(node)
    for step in STEPS[:done]:
        step(node)
    for _run in range(times):
        found = journal.find(node.config_dir)
        assert (found is None) is (_run == 1)
        if found:
            assert journal.undo(node.postfix, found) is None
    assert everything(node) == before
    live = MOMENTS[done] not in ("only saved", "files put", "twin runs")
    assert ("reload" in node.asked("postfix")) is live


@pytest.mark.parametrize("gone", [["master.cf"], ["main.cf"], ["main.cf", "master.cf"]])
@pytest.mark.parametrize("done", range(5), ids=MOMENTS[:5])
def test_a_change_is_undone_though_a_live_file_was_removed_meanwhile(node, done, gone):
    before, log = begin(node)
    for step in STEPS[:done]:
        step(node)
    for name in gone:
        os.unlink(node.path(name))
    assert journal.undo(node.postfix, log) is None
    assert everything(node) == before
    assert "reload" in node.asked("postfix")


def edit(node, text):
    write(node.path("main.cf"), text)


def test_an_edit_from_before_the_swap_stays_where_it_is(node):
    _before, log = begin(node)
    os.unlink(node.path("main.cf"))
    edit(node, "myhostname = theirs\n")
    assert journal.undo(node.postfix, log) is None
    assert read(node.path("main.cf")) == "myhostname = theirs\n"


def test_an_edit_of_what_is_undone_is_kept_beside_it(node):
    _before, log = begin(node)
    was = read(node.path("main.cf"))
    put_files(node)
    swap("main.cf")(node)
    edit(node, "new\n# theirs\n")
    told = journal.undo(node.postfix, log)
    path = node.path("main.cf")
    assert told == f"Somebody else has edited {path} meanwhile; what they made of it is in {path}.edited."
    assert (read(path), read(f"{path}.edited")) == (was, "new\n# theirs\n")


def test_a_change_of_an_earlier_version_is_undone_too(node):
    """Its journal tells not what it has put there."""
    before, log = begin(node)
    put_files(node)
    files.remove(node.store("transaction", "ours"))
    os.replace(node.store("transaction", "stage", "main.cf"), node.path("main.cf"))
    assert journal.undo(node.postfix, log) is None
    assert everything(node) == before


def test_a_file_system_that_cannot_exchange_files_gets_one_after_the_other(node, monkeypatch):
    _before, log = begin(node)
    put_files(node)
    live, kept = next(iter(log.saved.items()))

    def cannot(path, other):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(files, "exchange", cannot)
    journal.put(live, kept, node.store("transaction", "stage", "main.cf"), files.read(kept))
    assert read(live) == "new\n"


def test_somebody_who_is_faster_than_the_swap_is_given_way(node, monkeypatch):
    _before, log = begin(node)
    put_files(node)
    live, kept = next(iter(log.saved.items()))
    expected, exchange = files.read(kept), files.exchange

    def late(path, other):
        if read(live) != "theirs\n" and read(other) == "new\n":
            os.unlink(live)
            edit(node, "theirs\n")
        exchange(path, other)

    monkeypatch.setattr(files, "exchange", late)
    with pytest.raises(HardeningError, match="was changed by somebody else while this change was prepared"):
        journal.put(live, kept, node.store("transaction", "stage", "main.cf"), expected)
    assert read(live) == "theirs\n"


def test_a_twin_that_was_left_is_stopped_before_its_folder_goes(node):
    _before, log = begin(node)
    make_twin(node)
    journal.undo(node.postfix, log)
    master = os.path.join(node.defaults["daemon_directory"], "master")
    assert node.commands[-1] == [master, "-c", f"{twin.folder(node.queue_dir)}/config", "-t"]


def test_what_was_is_the_same_file_under_a_second_name(node):
    _before, log = begin(node)
    assert list(log.saved) == [node.path("main.cf"), node.path("master.cf")]
    assert all(os.path.samefile(live, kept) for live, kept in log.saved.items())


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EPERM, "chattr -i"), (errno.EXDEV, "mount its folder"), (errno.EROFS, None)]
)
def test_a_main_cf_that_nothing_can_replace_is_told_with_a_remedy(node, monkeypatch, number, remedy):
    def link(path, other):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(files, "link", link)
    before = read(node.path("main.cf"))
    with pytest.raises(HardeningError if remedy else OSError) as refusal:
        begin(node)
    assert node.path("main.cf") in str(refusal.value) and (remedy or "") in str(refusal.value)
    assert read(node.path("main.cf")) == before


def test_a_journal_is_found_as_it_was_written(node):
    _before, log = begin(node)
    assert journal.find(node.config_dir) == log
    assert (log.author, log.time, log.queue_dir) == (AUTHOR, TIME, node.queue_dir)


def test_a_journal_and_what_was_are_for_root_alone(node):
    begin(node)
    modes = [os.stat(node.store("transaction", name)).st_mode & 0o777 for name in ("", "was", "journal.json")]
    assert modes == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"author": 1}', b"\xff", b'{"author": {"mod": "x"}}'])
def test_a_journal_that_cannot_be_read_stops_every_run_with_what_to_do(node, content):
    write(node.store("transaction", "journal.json"), content)
    before = everything(node)
    with pytest.raises(HardeningError) as failure, turn(node.postfix, check_mode=False):
        pytest.fail("the run goes on")
    here = node.store("transaction")
    assert str(failure.value) == (
        f"{here}/journal.json tells of an interrupted change but cannot be read; compare main.cf and master.cf "
        f"with {here}/was, put right what is wrong, and remove {here}."
    )
    assert everything(node) == before


def test_without_a_journal_there_is_nothing_to_undo(node):
    _before, _log = begin(node)
    put_files(node)
    swap("main.cf")(node)
    journal.settle(node.config_dir)
    now = node.state
    assert journal.find(node.config_dir) is None
    with turn(node.postfix, check_mode=False) as interrupted:
        assert interrupted is None
    assert node.state == now
    assert not os.path.exists(node.store("transaction"))


@pytest.mark.parametrize("killed", ["before the journal", "after it was settled"])
def test_a_sweep_takes_what_no_journal_speaks_of(node, killed):
    before, _log = begin(node)
    if killed == "before the journal":
        os.rename(node.store("transaction", "journal.json"), node.store("transaction", ".smtp_hardening.x1"))
    else:
        journal.settle(node.config_dir)
    journal.sweep(node.config_dir)
    assert everything(node) == before


def test_a_sweep_takes_files_that_were_not_complete_and_no_others(node):
    kept = write(node.store("certificates", "default", "1.pem"), "key")
    os.makedirs(node.store("domains", "1"))
    before = everything(node)
    for folder in ("", "certificates/default", "domains/1"):
        write(node.store(folder, files.TEMPORARY + "abc123"), "half a key")
    journal.sweep(node.config_dir)
    assert everything(node) == before
    assert os.path.exists(kept)


def test_a_sweep_leaves_a_change_that_is_to_be_undone(node):
    begin(node)
    now = everything(node)
    journal.sweep(node.config_dir)
    assert everything(node) == now


def test_nothing_is_left_of_a_change_that_could_not_begin(node):
    os.unlink(node.path("master.cf"))
    with pytest.raises(FileNotFoundError):
        journal.begin(node.config_dir, AUTHOR, TIME, node.queue_dir, [])
    assert journal.find(node.config_dir) is None
    journal.sweep(node.config_dir)
    assert os.listdir(node.store()) == []


@pytest.mark.parametrize(
    ("author", "text"),
    [(AUTHOR, '"Set it" (smtp_tls_mode)'), (Author("smtp_rollback"), "smtp_rollback"), (Author("-", ""), "-")],
)
def test_an_author_is_named_by_task_and_module(author, text):
    assert str(author) == text


def test_a_journal_is_plain_json_for_people_who_must_read_it(node):
    begin(node)
    with open(node.store("transaction", "journal.json"), encoding="utf-8") as handle:
        assert sorted(json.load(handle)) == ["author", "created", "queue_dir", "saved", "time"]


@pytest.mark.parametrize(
    ("was_running", "runs", "said"),
    [(True, True, "reload"), (True, False, "start"), (False, True, "reload"), (False, False, "reload")],
)
def test_a_postfix_that_ended_because_of_the_change_is_started_and_any_other_is_reloaded(node, was_running, runs, said):
    _before, log = begin(node)
    put_files(node)
    swap("main.cf")(node)
    node.running = runs
    assert journal.undo(node.postfix, log, was_running) is None
    assert [word for word in node.asked("postfix") if word != "status"] == [said]
