# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import giving_back, work
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, picture, read, write


@pytest.fixture(autouse=True)
def no_wire(monkeypatch):
    """Proofs that see nothing wrong."""
    monkeypatch.setattr(work, "prove", lambda postfix, started_with, unproven=(): [])
    monkeypatch.setattr(work, "prove_twin", lambda twin, services, unproven=(): [])
    monkeypatch.setattr(work, "check_master", lambda postfix, staged: None)


def do(node, state="absent", to=None, allow_weaker=False, check_mode=False):
    options = {"state": state, "to": to, "allow_weaker": allow_weaker, "task": "Give it back"}
    return giving_back.work(node.postfix, options, check_mode)


def both(node):
    return read(node.path("main.cf")), read(node.path("master.cf"))


def test_a_node_is_as_it_was_found_byte_for_byte_and_nothing_of_ours_is_left(node):
    node.write("# a comment\nmynetworks = 127.0.0.1,\n    [::1]\nmyhostname = mx1\n")
    before = picture(node.config_dir)
    for number in range(13):
        change(node, Plan(set={"myhostname": f"mx{number}", "relayhost": "[a.example]"}))
    change(node, Plan(services=("2525/inet=2525 inet n - y - - smtpd",)))
    result = do(node)
    assert result["changed"] and result["theirs"] == [] and result["to"]["number"] == 1
    after = picture(node.config_dir)
    assert {path: seen[3] for path, seen in after.items()} == {path: seen[3] for path, seen in before.items()}
    assert do(node)["changed"] is False


def test_what_somebody_has_changed_since_stays_and_is_listed(node):
    change(node, Plan(set={"myhostname": "mx8", "relayhost": "[a.example]"}))
    node.write(read(node.path("main.cf")).replace("mx8", "theirs") + "# a comment of theirs\nmail_name = theirs\n")
    change(node, Plan(set={"smtpd_banner": "ours"}))
    result = do(node)
    assert result["theirs"] == [
        {"file": "main.cf", "name": "myhostname", "value": "theirs", "made": "mx8", "found": None}
    ]
    assert (
        "main.cf: myhostname was changed by somebody else since and stays (theirs); it was set to mx8 in place of nothing."
        in (result["warnings"])
    )
    explicit = node.state.explicit
    assert {"myhostname": "theirs", "mail_name": "theirs"}.items() <= explicit.items()
    assert not {"relayhost", "smtpd_banner"} & set(explicit)
    assert not os.path.exists(node.store())
    assert do(node)["changed"] is False


def test_what_theirs_names_of_the_store_stays(node):
    change(node, Plan(set={"myhostname": "mx8"}))
    chain = write(node.store("certificates/a/1.pem"), "key")
    write(node.store("certificates/b/1.pem"), "key")
    node.append(f"smtpd_tls_chain_files = {chain}\n")
    result = do(node)
    assert f"{chain} stays, since what is not ours names it." in result["warnings"]
    assert os.listdir(node.store()) == ["certificates"] and os.listdir(node.store("certificates")) == ["a"]
    assert do(node)["changed"] is False


def test_check_mode_foretells_it_and_changes_nothing(node):
    change(node, Plan(set={"myhostname": "mx8"}))
    before = picture(node.config_dir)
    foretold = do(node, check_mode=True)
    assert foretold["changed"] and picture(node.config_dir) == before
    assert any(node.store() in str(entry) for entry in foretold["diff"])


def test_protection_that_would_fall_needs_a_word(node):
    change(node, Plan(set={"smtpd_tls_security_level": "encrypt"}))
    before = picture(node.config_dir)
    with pytest.raises(HardeningError, match="lower protection: server.level from encrypt to none;"):
        do(node)
    assert picture(node.config_dir) == before
    assert do(node, allow_weaker=True)["changed"]


def test_a_number_beside_the_removal_is_refused(node):
    with pytest.raises(
        InvalidValue, match=r"^to: 1 is no state without this collection; leave it out, or leave out state"
    ):
        do(node, to=1)


def test_a_node_that_nothing_was_done_to_stays_as_it_is(node):
    before = picture(node.config_dir)
    result = do(node)
    assert (result["changed"], result["to"], result["theirs"]) == (False, None, [])
    assert picture(node.config_dir) == before


def test_after_a_rollback_that_is_ours_which_was_ours_then(node):
    change(node, Plan(set={"myhostname": "mx8"}))
    node.append("relayhost = [theirs.example]\n")
    change(node, Plan(set={"mail_name": "ours"}))
    do(node, state="present", to=1)
    assert history.ledger(node.config_dir).parameters == {}
    do(node)
    assert both(node)[0] == "compatibility_level = 3.9\n"


def test_a_warning_that_a_state_had_is_none_of_its_return(node):
    node.unused.append("smtpd_use_tls")
    node.append("smtpd_use_tls = yes\n")
    change(node, Plan(unset=("smtpd_use_tls",)))
    assert do(node, state="present", to=1)["changed"]
    assert node.state.explicit["smtpd_use_tls"] == "yes"


def test_certificates_of_a_side_stay_together_where_one_of_their_files_is_gone(node):
    key, chain = (write(node.path(name), "pem") for name in ("mx.key", "mx.pem"))
    node.append(f"smtpd_tls_cert_file = {chain}\nsmtpd_tls_key_file = {key}\nmail_name = then\n")
    ours = write(node.store("certificates/a/1.pem"), "pem")
    unset = ("smtpd_tls_cert_file", "smtpd_tls_key_file")
    change(node, Plan(set={"smtpd_tls_chain_files": ours, "mail_name": "now"}, unset=unset))
    os.unlink(key)
    result = do(node, state="present", to=1)
    assert (
        f"{key}, which smtpd_tls_key_file named then, is gone; it stays as it is now (not set)." in result["warnings"]
    )
    explicit = node.state.explicit
    assert explicit["smtpd_tls_chain_files"] == ours and explicit["mail_name"] == "then"
    assert not set(unset) & set(explicit)


def test_a_file_that_was_missing_when_the_state_was_found_is_no_reason_to_keep_anything(node):
    node.append("smtpd_tls_chain_files = /no/mx.pem\n")
    found = both(node)
    change(node, Plan(set={"smtpd_tls_chain_files": write(node.store("certificates/a/1.pem"), "pem")}))
    assert do(node, state="present", to=1)["warnings"] == []
    assert both(node) == found
