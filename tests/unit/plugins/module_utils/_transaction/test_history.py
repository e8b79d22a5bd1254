# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._folder import Folder
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.ledger import Entry, Ledger
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_contents
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import read, write

AUTHOR = Author("smtp_settings", "Name it")
TIME = "2026-11-24T12:00:00Z"


def record(node, main_cf, summary="set: myhostname", proven=True):
    node.write(main_cf)
    contents = read_contents(node.config_dir)
    history.record(node.config_dir, AUTHOR, TIME, summary=summary, proven=proven, contents=contents)


def numbers(node):
    return [past.number for past in history.past(node.config_dir)]


def test_a_node_that_was_never_changed_remembers_nothing(node):
    assert history.past(node.config_dir) == []
    assert history.is_remembered(node.config_dir) is False


def test_a_state_is_remembered_with_who_when_and_what(node):
    record(node, "myhostname = a\n")
    (past,) = history.past(node.config_dir)
    assert past.as_facts() == {
        "number": 1,
        "time": TIME,
        "module": "smtp_settings",
        "task": "Name it",
        "summary": "set: myhostname",
        "proven": True,
        "unproven": [],
    }
    assert past.content("main.cf") == b"myhostname = a\n"
    assert past.content("master.cf").decode() == node.services


def test_what_is_remembered_is_for_root_alone(node):
    record(node, "myhostname = a\n")
    here = history.folder(node.config_dir)
    assert [os.stat(path).st_mode & 0o777 for path in (here, f"{here}/1")] == [0o700, 0o700]
    assert {os.stat(f"{here}/1/{name}").st_mode & 0o777 for name in os.listdir(f"{here}/1")} == {0o600}


@pytest.mark.parametrize(
    ("main_cf", "services", "remembered"),
    [
        ("myhostname = b\n", None, True),
        ("myhostname = a\n", None, False),
        ("myhostname = b\n# a comment\n", None, False),
        ("myhostname = b\n", "smtp inet n - n - - smtpd\n", False),
    ],
)
def test_the_state_of_now_is_remembered_when_the_newest_is_it_byte_for_byte(node, main_cf, services, remembered):
    record(node, "myhostname = a\n")
    record(node, "myhostname = b\n")
    node.write(main_cf)
    node.services = services or node.services
    assert history.is_remembered(node.config_dir) is remembered


def test_ten_states_and_the_first_are_kept_and_numbers_are_never_given_twice(node):
    for number in range(1, 14):
        record(node, f"myhostname = mx{number}\n")
        history.forget_old(node.config_dir)
    assert numbers(node) == [1, *range(4, 14)]
    assert sorted(os.listdir(history.folder(node.config_dir)), key=int) == [str(n) for n in (1, *range(4, 14))]
    assert history.next_folders(node.config_dir) == [f"{history.folder(node.config_dir)}/{n}" for n in (14, 15)]


@pytest.mark.parametrize("damage", ["missing", "half", "of another kind", "empty"])
def test_a_state_that_was_cut_short_is_ignored_and_goes(node, damage):
    record(node, "myhostname = a\n")
    record(node, "myhostname = b\n")
    facts = os.path.join(history.folder(node.config_dir), "2", "state.json")
    if damage == "missing":
        os.unlink(facts)
    else:
        write(facts, {"half": read(facts)[:20], "of another kind": "[1]", "empty": "{}"}[damage])
    assert numbers(node) == [1]
    assert history.next_folders(node.config_dir)[0].endswith("/3")
    history.forget_old(node.config_dir)
    assert os.listdir(history.folder(node.config_dir)) == ["1"]


@pytest.mark.parametrize(
    ("now", "to", "number"),
    [("c", None, 2), ("b", None, 3), ("by hand", None, 3), ("c", 1, 1), ("c", 3, 3)],
)
def test_a_state_is_found_by_its_number_or_as_the_newest_that_is_not_now(node, now, to, number):
    for name in "abc":
        record(node, f"myhostname = {name}\n")
    node.write(f"myhostname = {now}\n")
    assert history.find(node.config_dir, to).number == number


@pytest.mark.parametrize(
    ("states", "to", "sentence"),
    [
        ("", None, "to: 'the state before' is not remembered; the node remembers none yet."),
        ("", 4, "to: 4 is not remembered; the node remembers none yet."),
        ("ab", 4, "to: 4 is not remembered; the node remembers 1, 2."),
        ("ab", 0, "to: 0 is not remembered; the node remembers 1, 2."),
        ("a", None, "to: 'the state before' is not remembered; the node remembers 1."),
    ],
)
def test_a_state_that_is_not_remembered_is_refused_with_those_that_are(node, states, to, sentence):
    for name in states:
        record(node, f"myhostname = {name}\n")
    with pytest.raises(InvalidValue) as refusal:
        history.find(node.config_dir, to)
    assert str(refusal.value) == sentence


def test_files_that_a_remembered_state_names_are_kept_and_the_others_go(node):
    kept = [
        "certificates/a/1.pem",
        "certificates/b/7.pem",
        "trust/2.pem",
        "domains/3/transport",
        "domains/3/transport.db",
    ]
    newest = ["certificates/a/4.pem", "certificates/b/8.pem", "certificates/c/1.pem", "trust/5.pem"]
    waiting = ["certificates/a/next.key", "certificates/d/next.key"]
    gone = ["certificates/a/2.pem", "certificates/a/3.pem", "certificates/b/6.pem", "trust/1.pem", "trust/4.pem"]
    gone_tables = ["domains/1/transport", "domains/4/relay_domains", "domains/4/relay_domains.db"]
    for name in [*kept, *newest, *waiting, *gone, *gone_tables]:
        write(node.store(name), name)
    store = node.store()
    record(node, f"smtpd_tls_chain_files = {store}/certificates/a/1.pem\nsmtp_tls_CAfile = {store}/trust/2.pem\n")
    record(node, f"smtpd_tls_chain_files = /x.pem, {store}/certificates/b/7.pem\n")
    node.write(f"transport_maps = hash:{store}/domains/3/transport, hash:/etc/postfix/transport\n")
    history.forget_old(node.config_dir)
    left = {name for name in [*kept, *newest, *waiting, *gone, *gone_tables] if os.path.exists(node.store(name))}
    assert left == {*kept, *newest, *waiting}
    assert not os.path.exists(node.store("domains", "4"))


def test_files_go_with_the_last_state_that_names_them(node):
    for name in ("trust/1.pem", "trust/2.pem"):
        write(node.store(name), name)
    record(node, "myhostname = found\n", proven=False)
    record(node, f"smtp_tls_CAfile = {node.store('trust/1.pem')}\n")
    for number in range(9):
        record(node, f"myhostname = mx{number}\n")
    history.forget_old(node.config_dir)
    assert os.path.exists(node.store("trust/1.pem"))
    record(node, "myhostname = mx9\n")
    history.forget_old(node.config_dir)
    assert sorted(os.listdir(node.store("trust"))) == ["2.pem"]


def test_what_a_state_does_not_say_itself_is_kept_beside_it(node):
    ledger = Ledger(
        {"myhostname": Entry(None, "a"), "mynetworks": Entry("b", None)}, {"25/inet": Entry("x", "y")}, True
    )
    known = history.Known(ledger, ("/etc/ssl/mx.pem",), {"smtp/inet": {"broken": True}})
    node.write("")
    contents = read_contents(node.config_dir)
    history.record(node.config_dir, AUTHOR, TIME, summary="found", proven=False, contents=contents, known=known)
    assert history.past(node.config_dir)[0].known == known
    assert history.ledger(node.config_dir) == ledger


def test_a_state_that_an_earlier_version_kept_is_one(node):
    record(node, "myhostname = a\n")
    path = os.path.join(history.folder(node.config_dir), "1", "state.json")
    facts = json.loads(read(path))
    write(path, json.dumps({name: facts[name] for name in ("time", "module", "task", "summary", "proven")}))
    assert history.past(node.config_dir)[0].known == history.Known()


def test_the_contents_of_a_state_stand_beside_those_of_now(node):
    record(node, "myhostname = a\n")
    node.write("myhostname = b\n")
    services = node.services.encode()
    assert history.contents(node.config_dir, history.find(node.config_dir, 1)) == {
        "main.cf": (b"myhostname = b\n", b"myhostname = a\n"),
        "master.cf": (services, services),
    }


def in_override(node, name):
    """master.cf as it is, with one more service that names a file of the store."""
    return node.services + f"26 inet n - y - - smtpd -o smtpd_tls_chain_files={node.store(name)}\n"


@pytest.mark.parametrize("when", ["now", "then"])
def test_files_that_only_an_override_in_master_cf_names_are_kept(node, when):
    for number in (1, 2, 3):
        write(node.store(f"certificates/a/{number}.pem"), "key")
    without = node.services
    node.services = in_override(node, "certificates/a/1.pem")
    if when == "then":
        record(node, "myhostname = a\n")
        node.services = without
    history.forget_old(node.config_dir)
    assert sorted(os.listdir(node.store("certificates", "a"))) == ["1.pem", "3.pem"]


def test_a_state_that_is_forgotten_is_no_state_from_the_first_step_on(node, monkeypatch):
    for number in range(1, 13):
        record(node, f"myhostname = mx{number}\n")
    monkeypatch.setattr(Folder, "_empty", lambda folder: os.kill(os.getpid(), signal.SIGKILL))
    child = os.fork()
    if not child:
        try:
            history.forget_old(node.config_dir)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    monkeypatch.undo()
    second = os.path.join(history.folder(node.config_dir), "2")
    assert sorted(os.listdir(second)) == ["main.cf", "master.cf"]
    assert numbers(node) == [1, *range(3, 13)]
    history.forget_old(node.config_dir)
    assert not os.path.exists(second)


def test_a_stray_file_among_the_certificates_is_in_nobodys_way(node):
    write(node.store("certificates", "notes.txt"), "which is which")
    write(node.store("certificates", "7.pem"), "lost")
    for number in (1, 2):
        write(node.store(f"certificates/a/{number}.pem"), "key")
    record(node, "myhostname = a\n")
    history.forget_old(node.config_dir)
    assert sorted(os.listdir(node.store("certificates"))) == ["7.pem", "a", "notes.txt"]
    assert os.listdir(node.store("certificates", "a")) == ["2.pem"]
