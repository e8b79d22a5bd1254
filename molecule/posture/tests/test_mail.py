# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail goes where the posture says, and crosses the wire as the posture says, under each configuration of the table."""

import collections

import expected
import pytest
from table import ASKED, MAIL, RECORDS
from versions import why_not

testinfra_hosts = ["local://"]


@pytest.fixture
def found(tried, title):
    """What the nodes have found out about a row."""
    if reason := why_not(MAIL[title]):
        pytest.skip(reason)
    return tried.answer(title)


@pytest.mark.parametrize("title", MAIL)
def test_mail_goes_where_the_posture_says(found, title):
    for (_sender, recipient), resolved in zip(MAIL[title]["mail"], found["resolved"]):
        assert next_stop(resolved) in map(stops, found["choices"][recipient]), recipient


@pytest.mark.parametrize("title", MAIL)
def test_mail_crosses_the_wire_as_the_posture_says(found, title):
    row = MAIL[title]
    if title in ASKED:
        pytest.skip("the posture says that it does not know")
    relaxed = ("none" if row["main"]["smtp_tls_security_level"] == "none" else "may") if "header" in row else None
    hops = hops_of(row, found)
    assert not [hop["unknown"] for hop in hops if hop["unknown"]]
    told = [peer for peer in row["peers"] if expected.is_told(hops, peer)]
    predicted = {peer: expected.way(hops, peer, relaxed) for peer in told}
    seen = {peer: expected.seen(found["wire"][peer]) for peer in told}
    assert seen == predicted, (hops, found["wire"])


def hops_of(row, found):
    """What the posture makes of a row's first message."""
    if "by" in row:
        hops, domain = found["other ways"][row["by"]], row["mail"][0][1].rpartition("@")[2]
        return [hop for hop in hops if hop["next_hop"] == domain] or hops[:1]
    resolved = next_stop(found["resolved"][0])
    return next(choice for choice in found["choices"][row["mail"][0][1]] if stops(choice) == resolved)


def stops(choice):
    """As trivial-rewrite gives them: several next hops of one choice stand in one word."""
    hops = [hop["next_hop"] for hop in choice if not hop["by"].endswith("_fallback_relay")]
    return next_stop((choice[0]["transport"], ", ".join(hops)))


def next_stop(resolved):
    """Transport and next hop, which may be words for people."""
    transport, next_hop = resolved
    return transport, "" if transport in ("error", "retry") else next_hop


def test_the_table_shows_each_outcome(tried):
    """Each server takes mail in some rows, and gets none in others."""
    outcomes = collections.defaultdict(set)
    for title in (title for title, row in MAIL.items() if not why_not(row)):
        for peer, wire in tried.answer(title)["wire"].items():
            outcomes[peer].add(expected.seen(wire).outcome)
    assert all(seen >= {expected.PLAINTEXT, expected.KEPT} for seen in outcomes.values()), outcomes
    assert all(expected.TLS in seen for peer, seen in outcomes.items() if peer != expected.NO_TLS), outcomes


@pytest.mark.parametrize("title", [f"record: {title}" for title in RECORDS])
def test_a_record_holds_where_the_posture_says_so(found, title):
    """None of them lets mail go in plaintext, once its mode and date are those of a record in force."""
    (record,) = MAIL[title]["records"]
    in_force = not {"mode", "expires"} & set(record)
    holds = in_force and found["broken"].get(record["name"], "nobody knows it") is None
    assert (expected.seen(found["wire"][expected.NO_TLS]).outcome == expected.KEPT) == holds


@pytest.mark.parametrize("title", ASKED)
def test_the_posture_says_where_it_does_not_know(found, title):
    hops = hops_of(MAIL[title], found)
    assert all(hop["unknown"] or hop["values"].get("policy") for hop in hops)
