# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that is proven: the order of its steps, what it leaves alone, and what it leaves behind."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import change as changing
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history, journal, twin
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import keep_for_later, turn
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.changes import TLSPROXY, everything, patched, plan, refuse
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, picture, read, write


def test_a_change_that_is_proven_stays(node):
    seen = [{"service": "smtp/inet", "unproven": None}]
    assert change(node, plan(node), live=lambda: seen) == seen
    assert node.state.explicit["smtpd_tls_security_level"] == "may"
    assert ["postfix", "-c", node.config_dir, "reload"] in node.commands


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

    monkeypatch.setattr(changing, "daemons", lambda master, name: [(name, *told())])
    monkeypatch.setattr(changing.handover, "wait_for_end", lambda pids, master, name: seen.extend(pids))
    change(node, Plan(set={"smtp_tls_chain_files": "/b.pem"}))
    assert seen == ([("smtp", "no", "/a.pem", 0), ("tlsproxy", "no", "/b.pem", 1)] if reuse == "yes" else [])
    explicit = node.state.explicit
    assert (explicit["smtp_tls_connection_reuse"], explicit["smtp_tls_chain_files"]) == (reuse, "/b.pem")


@pytest.mark.parametrize("proof", ["twin", "live"])
def test_a_handover_is_undone_with_the_change_that_it_was_for(node, monkeypatch, proof):
    node.append("smtp_tls_connection_reuse = yes\nsmtp_tls_chain_files = /a.pem\n")
    monkeypatch.setattr(changing, "daemons", lambda master, name: [])
    before = everything(node)
    with pytest.raises(ProofFailed):
        change(node, Plan(set={"smtp_tls_chain_files": "/b.pem"}), **{proof: refuse})
    assert everything(node) == before
