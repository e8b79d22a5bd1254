# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._fold import folded


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["mx1"], "mx1"),
        (["mx2", "mx1", "mx1"], "mx[1-2]"),
        (["mx1", "mx3"], "mx[1,3]"),
        ([f"mx{number:03}" for number in range(1, 98)], "mx[001-097]"),
        ([f"mx{number}" for number in (8, 9, 10, 11)], "mx[8-11]"),
        (["mx09", "mx10", "mx099", "mx100"], "mx[09-10,099-100]"),
        (["mx9", "mx010"], "mx[9,010]"),
        (["mx1.a.test", "mx2.a.test", "mx1.b.test"], "mx[1-2].a.test, mx1.b.test"),
        (["rack1-mx1", "rack1-mx2", "rack1-mx3"], "rack1-mx[1-3]"),
        (["rack1-mx1", "rack2-mx1", "rack3-mx1"], "rack[1-3]-mx1"),
        (["192.0.2.7", "192.0.2.8", "192.0.2.9"], "192.0.2.[7-9]"),
        (["berlin", "mx1", "mx2"], "berlin, mx[1-2]"),
        (["mx²", "mx1²2"], "mx1²2, mx²"),
    ],
)
def test_names_that_differ_in_one_number_stand_as_a_range(names, text):
    assert folded(names) == text


@pytest.mark.parametrize(
    ("names", "width", "text"),
    [
        (["berlin", "paris", "rome"], 40, "berlin, paris, rome"),
        (["berlin", "paris", "rome"], 10, "berlin, ... (3 nodes)"),
        (["a-single-name-that-is-long"], 10, "a-single-name-that-is-long"),
        (["a-name-that-is-long", "another"], 10, "a-name-that-is-long, ... (2 nodes)"),
        ([f"mx{number}" for number in range(1, 1000, 2)], 20, "mx[1,3,5,7,9,11,13, ... (500 nodes)"),
    ],
)
def test_what_is_too_long_is_cut_and_tells_how_many_there_are(names, width, text):
    assert folded(names, width) == text
