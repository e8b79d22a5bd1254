# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._report import report
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._summary import pending, summary
from ansible_collections.mailfleet.smtp_hardening.tests.unit.recorded_fleet import (
    LISTENER,
    MODE,
    NO_MAILBOX,
    SETTLED,
    fleet,
    mail,
    names,
)

SIZES = [3, 100, 1000]
WIDE = "メールサーバー一号機.例え"
LONG = "This would lower protection: " + "; ".join(f"domain d{n}.test.level from secure to may" for n in range(30))
REMEDY = "set smtp_allow_weaker: true if that is meant."


def told(size, check_mode=False, **over):
    return summary(report(names(size), fleet(size, **over), check_mode=check_mode))


def failed(message):
    return {"trusted_agents_strict_mode": {"failed": True, "msg": message}}


def bounced(size):
    """Every mailbox of the fleet is wrong."""
    hosts = names(size)
    return {
        host: {
            "smtp_harden_seen": {
                "observations": [LISTENER],
                "deliveries": [
                    mail(to, "bounced", NO_MAILBOX.format(to), None) for to in (hosts[place - 1], hosts[place - 2])
                ],
            }
        }
        for place, host in enumerate(hosts)
    }


def everything_wrong(size):
    """Each node with words of its own: what stopped it, what its listeners show, what became of mail, warnings."""
    wrong = {}
    for place, host in enumerate(names(size)):
        seen = {
            "observations": [{**LISTENER, "problems": [f"shows the certificate {place} \x1b[2J" + "x" * 300]}],
            "deliveries": [mail("mx", "deferred", f"{place} is why " + "y" * 300, None)],
        }
        mode = {**MODE, "warnings": [f"warning {place} " + "long " * 90]}
        over = failed(f"{LONG} {place}; {REMEDY}") if place % 2 else {"trusted_agents_strict_mode": mode}
        wrong[host] = {"smtp_harden_seen": seen, **over}
    return wrong


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("wrong", [lambda size: {}, bounced, everything_wrong])
def test_a_summary_fits_a_screen_of_any_callback_however_many_nodes_there_are(size, wrong):
    lines = told(size, **wrong(size))
    assert len(lines) <= 24
    # What the default callback and minimal put around an item, in JSON; in YAML it is less.
    assert max(len(f"        {json.dumps(line, ensure_ascii=False)},") for line in lines) <= 80


@pytest.mark.parametrize("size", SIZES)
def test_a_run_in_which_all_went_well_is_the_verdict_and_what_changed(size):
    every = f"mx[{1:0{len(str(size))}d}-{size}]"
    verdict, *changed = told(size)
    assert verdict == f"{size} of {size} nodes strict and proven, 0 stopped, 0 messages failed"
    said = " ".join(map(str.strip, changed))
    assert said == f"changed {every}: 10 values (certificate 1, server 4, client 4, domains 1)"


@pytest.mark.parametrize("size", SIZES)
def test_mails_that_failed_alike_are_folded_with_what_to_do(size):
    lines = told(size, **bounced(size))
    text = " ".join(map(str.strip, lines))
    digits = len(str(size))
    assert f"MAIL FAILED mx[{1:0{digits}d}-{size}]: {2 * size} mails bounced: 550 5.1.1 <box@" in text
    assert "-> have smtp_test_mailbox name a mailbox that exists there" in text
    assert text.count("MAIL FAILED") == 1


def test_a_node_that_was_stopped_is_named_with_the_beginning_and_the_end_of_the_reason():
    text = " ".join(map(str.strip, told(100, mx042=failed(f"{LONG}; {REMEDY}"))))
    assert text.startswith(
        "99 of 100 nodes strict and proven, 1 stopped, 0 messages failed STOPPED mx042: This would lower"
    )
    assert " ... " in text and REMEDY in text
    assert "-> mend that, then run harden again" in text
    assert "changed mx[001-041,043-100]: 10 values" in text


def test_what_stopped_many_nodes_alike_is_told_once_though_it_names_each():
    over = {host: failed(f"{host} is too small; give it room.") for host in names(100)[:3]}
    stopped = [line for line in told(100, **over) if "STOPPED" in line]
    assert stopped == ["STOPPED mx[001-003]: mx001 is too small; give it room."]


def test_of_each_kind_of_failure_one_is_told_before_others_of_any_kind():
    listener = {"observations": [{**LISTENER, "problems": ["takes plaintext mail"]}], "deliveries": []}
    stopped = {f"mx{place}": failed(f"{place} is wrong. " + "And so on. " * 40) for place in range(1, 8)}
    lines = told(9, **stopped, mx8={"smtp_harden_seen": listener}, mx9=bounced(9)["mx9"])
    heads = [line.split()[0] for line in lines[1:] if line[0].isupper() or line.startswith("...")]
    assert heads == ["STOPPED", "NOT", "MAIL", "STOPPED", "..."]
    assert "... and 5 more failures: see smtp_report, or -v" in lines
    assert sum("->" in line for line in lines) == 4


def test_failures_stand_before_changes_and_changes_before_warnings():
    warned = {"trusted_agents_strict_mode": {**MODE, "warnings": ["a is weak"]}}
    lines = told(3, mx1=bounced(3)["mx1"], mx2=warned, mx3=warned)
    heads = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert heads == ["2", "MAIL", "changed", "warning,"]
    assert lines[-1] == "warning, 2 nodes: a is weak"


def test_a_node_whose_turn_did_not_come_is_told_as_not_changed():
    lines = told(3, mx3={"trusted_agents_strict_mode": {**MODE, "proof": []}})
    assert any(line.startswith("not changed mx3: 9 values") for line in lines)
    assert any(line.startswith("changed mx[1-2]: 10 values") for line in lines)
    assert "changed mx3: 1 value (certificate 1)" in lines


def test_in_check_mode_the_summary_says_what_would_change():
    lines = told(3, check_mode=True, mx3={"trusted_agents_strict_mode": {**MODE, "proof": []}})
    assert lines[0] == "3 of 3 nodes looked at, 3 would change, 0 stopped; nothing was"
    assert any(line.startswith("would change mx[1-3]: 10 values") for line in lines)


def planned(size, **over):
    return pending(report(names(size), fleet(size, **over)))


@pytest.mark.parametrize("size", SIZES)
def test_pending_changes_are_folded_and_tell_what_changes_inside_a_record(size):
    lines = planned(size)
    every = f"mx[{1:0{len(str(size))}d}-{size}]"
    assert lines[0] == f"{size} of {size} nodes will change"
    assert f"{every}: server.level may to encrypt" in lines
    assert f"{every}: bank.example: level secure to may" in lines


def test_pending_changes_that_each_node_has_of_its_own_are_bounded():
    def own(host):
        new = [{"name": f"{host}.example"}]
        return {"trusted_agents_strict_domain_policy": {"changed": True, "before": [], "after": new}}

    lines = planned(1000, **{host: own(host) for host in names(1000)})
    assert len(lines) <= 24
    assert lines[-1].startswith("... and 9") and "more pending changes" in lines[-1]


def test_where_nothing_is_pending_one_sentence_says_so():
    settled = {"trusted_agents_strict_mode": SETTLED, "trusted_agents_strict_domain_policy": SETTLED}
    assert planned(2, mx1=settled, mx2=settled) == ["Nothing differs: every node is as its profile says."]


def test_letters_that_take_two_columns_count_for_two():
    one = {**fleet(1)["mx1"], **failed(f"{WIDE * 20} does not answer")}
    lines = summary(report([WIDE], {WIDE: one}))
    assert WIDE[:7] in lines[1] and "\0" not in "".join(lines)
    assert all(len(line) + sum(not letter.isascii() for letter in line) <= 70 for line in lines), lines
