# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that fails, whatever the reason, leaves every byte as it was and says why."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    HardeningError,
    InvalidValue,
    PostfixError,
    ProofFailed,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import change as changing
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import twin
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import turn
from ansible_collections.mailfleet.smtp_hardening.tests.unit.changes import everything, patched, plan, refuse
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, read, write


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


@pytest.mark.parametrize("there", [True, False])
def test_what_was_broken_before_is_told(node, there):
    def fail(*_seen):
        raise ProofFailed("The wire shows something else.", [("smtp/inet", "is mute")])

    with pytest.raises(ProofFailed) as failure:
        change(
            node,
            plan(node),
            live=fail,
            already=lambda postfix, found, reloaded: found if there and reloaded else frozenset(),
        )
    assert ("It was so before: the same is seen at smtp/inet without this change" in str(failure.value)) is there


def test_a_table_that_does_not_answer_as_written_is_undone(node):
    before = everything(node)
    forgetful = patched(node, lambda argv: Completed(1, "", "") if "-q" in argv else None)
    with pytest.raises(PostfixError, match="does not answer as it was written; is the disk full?"):
        change(node, plan(node), postfix=forgetful)
    assert everything(node) == before


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


def test_what_postfix_warned_of_before_refuses_nothing(node):
    """Whatever its value, the configuration's own path among them, and whatever becomes of it."""
    node.unused = ["virtual_mailbox_limit_maps", "my_note"]
    node.append(f"virtual_mailbox_limit_maps = hash:{node.path('quota')}\nmy_note = 1\n")
    change(node, plan(node, set={"my_note": "2", "smtpd_tls_security_level": "may"}))
    assert node.state.explicit["my_note"] == "2"


def test_a_parameter_of_theirs_that_nothing_uses_any_more_refuses_nothing(node):
    """As a folder's name of their own, which stood in what this change takes out."""
    node.append("own_folder = /etc/ssl/own\nsmtpd_tls_cert_file = $own_folder/mx.pem\n")

    def staged(argv):
        if "-n" in argv and "cert_file" not in read(f"{argv[2]}/main.cf"):
            node.unused = ["own_folder"]

    change(node, plan(node, unset=("smtpd_tls_cert_file",)), postfix=patched(node, staged))
    assert node.state.explicit["own_folder"] == "/etc/ssl/own"


def test_a_state_that_comes_back_brings_its_own_warnings(node):
    node.unused = ["my_note"]
    before = {"main.cf": b"my_note = 1\n", "master.cf": node.services.encode()}
    change(node, plan(node, contents=before))
    assert node.state.explicit["my_note"] == "1"


@pytest.mark.parametrize("unused", [["smtpd_tls_bogus"], ["smtpd_tls_bogus", "my_note"]])
def test_a_parameter_that_this_postfix_does_not_know_never_goes_live(node, unused):
    node.unused = unused
    before = everything(node)
    with pytest.raises(PostfixError) as failure:
        change(node, plan(node, set=dict.fromkeys(unused, "1")))
    said = "; ".join(f"postconf: warning: main.cf: unused parameter: {name}=1" for name in sorted(unused))
    assert str(failure.value) == f"Postfix warns of the new configuration: {said}."
    assert everything(node) == before
