# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever two configurations are: where the second lets mail through that the first did not, it protects less, and says so."""

import expected
import pytest
from around import NO_TLS
from pairs import PAIRS

testinfra_hosts = ["local://"]
RANK = (expected.KEPT, expected.TLS, expected.PLAINTEXT)
"""From what lets nothing through to what lets anybody read."""


@pytest.mark.parametrize("title", PAIRS)
def test_what_lets_through_more_protects_less(tried, title):
    found = tried.answer(title)
    more = more_in(ranks(found["before"]), ranks(found["after"]))
    if all("smtp_fallback_relay" in PAIRS[title][side]["main"] for side in ("before", "after")):
        # What a stricter first hop turns away goes to the fallback: only what nobody got before is more.
        more = [peer for peer in more if ranks(found["after"])[peer] > max(ranks(found["before"]).values())]
    assert found["weaker"] or not more, (more, PAIRS[title], found)


def more_in(before, after):
    """Servers that get more. A higher floor at may leaves old ones to plaintext, and protects mail to others more."""
    more = [peer for peer in before if after[peer] > before[peer]]
    floor = before["good"] == after["good"] == RANK.index(expected.TLS) and before[NO_TLS] == after[NO_TLS]
    return [peer for peer in more if not floor or peer != "TLS 1.2 at most"]


def ranks(configuration):
    return {peer: RANK.index(expected.seen(wire).outcome) for peer, wire in configuration["wire"].items()}
