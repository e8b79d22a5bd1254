# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a table whose rows take long, C(@pytest.mark.sampled), a run tries ROWS rows, which SEED chooses: others in the next run.
So it does of several tests, C(pytestmark = pytest.mark.sampled("a name")), which count as rows of one table; with a number behind
the name, of so many times ROWS of them.

A plugin of pytest, on the controller and on nodes. What somebody names is tried in any case.
"""

import collections
import os
import random

import pytest

SEED = os.environ.get("SEED", "0")
ROWS = int(os.environ.get("ROWS", "3"))


def some(name, rows, most=ROWS):
    """As many of these, in their order. The name is the table's: or the same rows of all tables would be chosen."""
    rows = list(rows)
    chosen = random.Random(f"{SEED} {name}").sample(range(len(rows)), min(most, len(rows)))
    return [rows[number] for number in sorted(chosen)]


def pytest_configure(config):
    config.addinivalue_line("markers", "sampled: each row takes long; a run tries some of them")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    tables, times = collections.defaultdict(list), {}
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark:
            name, number = [*mark.args, 1][:2] if mark.args else (item.nodeid.rpartition("/")[2].partition("[")[0], 1)
            tables[name].append(item)
            times[name] = number
    left = {item for name, rows in tables.items() for item in {*rows} - {*some(name, rows, times[name] * ROWS)}}
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]
