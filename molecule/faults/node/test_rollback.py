# SPDX-License-Identifier: GPL-3.0-or-later
"""Going back to what a node was."""

import os
import smtplib
import ssl

import pytest
from conftest import CONFIG, STORE, configuration, leftovers, picture, refuse, run, sh, succeed

pytestmark = pytest.mark.sampled("rollback")


def history():
    return succeed("smtp_tls_info")["history"]


def banner(number):
    return {"parameters": {"smtpd_banner": f"mx ESMTP {number}"}, "task": f"Set banner {number}"}


def files():
    return {name: open(f"{CONFIG}/{name}", "rb").read() for name in ("main.cf", "master.cf")}


def shown_certificate():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", 25, timeout=10) as smtp:
        smtp.starttls(context=context)
        return smtp.sock.getpeercert(binary_form=True)


def test_the_history_lists_time_task_and_summary():
    succeed("smtp_settings", **banner(1))
    state = history()[-1]
    assert state["task"] == "Set banner 1" and state["module"] == "smtp_settings"
    assert state["summary"] == "set: smtpd_banner" and state["proven"] is True
    assert state["time"].endswith("Z")


def test_a_node_remembers_ten_states_and_the_first_and_goes_back_to_any_of_them_byte_for_byte():
    kept = {}
    for number in range(12):
        succeed("smtp_settings", **banner(number))
        kept[history()[-1]["number"]] = files()
    numbers = [state["number"] for state in history()]
    assert len(numbers) == 11 and numbers[0] == 1
    for number in (numbers[1], numbers[5], numbers[10]):
        result = succeed("smtp_rollback", to=number)
        assert result["to"]["number"] == number and result["proof"]
        assert files() == kept[number]
        if number in [state["number"] for state in history()]:  # the oldest made room for the newest
            assert not succeed("smtp_rollback", to=number)["changed"]


def test_without_a_number_the_last_change_is_undone_and_check_mode_shows_it():
    before = files()
    succeed("smtp_settings", **banner(1))
    told = run("smtp_rollback", {}, check_mode=True).data
    assert told["changed"] and "-smtpd_banner" not in str(told["diff"]) and "smtpd_banner" in told["diff"][0]["before"]
    assert files() != before
    succeed("smtp_rollback")
    assert files() == before


def test_changes_made_by_hand_are_remembered_too():
    succeed("smtp_settings", **banner(1))
    sh("postconf", "-e", "smtpd_banner=by hand ESMTP")
    by_hand = files()
    succeed("smtp_settings", **banner(2))
    found = [state for state in history() if not state["proven"]][-1]
    succeed("smtp_rollback", to=found["number"])
    assert files() == by_hand


def test_keys_come_back_with_their_modes_after_two_renewals():
    def wish(name):
        made = {"key_type": "ecdsa", "names": [f"{name}.fleet.test"]}
        return {"name": "renewed", "provider": "self_signed", "self_signed": made, "use": ["server"]}

    succeed("smtp_tls_cert", **wish("one"))
    first, state = shown_certificate(), history()[-1]["number"]
    chain = sh("postconf", "-h", "smtpd_tls_chain_files").strip()
    content = open(chain, "rb").read()
    for name in ("two", "three"):
        succeed("smtp_tls_cert", **wish(name))
    assert shown_certificate() != first
    succeed("smtp_rollback", to=state)
    assert shown_certificate() == first
    stat = os.stat(chain)
    assert (stat.st_mode & 0o7777, stat.st_uid) == (0o600, 0) and open(chain, "rb").read() == content


def test_a_domains_tables_come_back():
    domains = [{"name": "partner.example", "route": "[mx1.partner.example]:25", "level": "encrypt"}]
    succeed("smtp_domain_policy", domains=domains)
    table = sh("postconf", "-h", "smtp_tls_policy_maps").strip()
    state = history()[-1]["number"]
    succeed("smtp_domain_policy", domains=[], exclusive=True, allow_weaker=True)
    succeed("smtp_rollback", to=state)
    assert sh("postmap", "-q", "[mx1.partner.example]:25", table) == "encrypt\n"


def test_a_state_that_protects_less_needs_a_word():
    state = history()[-1]["number"]
    succeed("smtp_tls_mode", server={"level": "encrypt"})
    before = picture()
    assert "server.level from encrypt to may" in refuse("smtp_rollback", to=state)
    assert picture() == before
    succeed("smtp_rollback", to=state, allow_weaker=True)


@pytest.mark.usefixtures("unchanged")
def test_a_state_that_is_not_remembered_is_refused():
    assert "the node remembers" in refuse("smtp_rollback", to=4711)
    assert os.path.isdir(f"{STORE}/history") and not leftovers() and configuration()
