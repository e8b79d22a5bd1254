# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever two configurations are: where the second lets mail through that the first did not, it protects less, and says so."""

import expected
import pytest
from pairs import PAIRS

testinfra_hosts = ["local://"]
RANK = (expected.KEPT, expected.TLS, expected.PLAINTEXT)
"""From what lets nothing through to what lets anybody read."""


@pytest.mark.parametrize("title", PAIRS)
def test_what_lets_through_more_protects_less(tried, title):
    found = tried.answer(title)
    before, after = found["before"]["wire"], found["after"]["wire"]
    more = {peer: (seen(before[peer]), seen(after[peer])) for peer in before}
    more = {peer: ways for peer, ways in more.items() if RANK.index(ways[1]) > RANK.index(ways[0])}
    if seen(before["good"]) == seen(after["good"]) == expected.TLS:
        more.pop(
            "TLS 1.2 at most", None
        )  # a higher floor at may leaves it to plaintext, and protects mail to others more
    assert found["weaker"] or not more, (more, PAIRS[title])


def seen(wire):
    return expected.seen(wire).outcome
