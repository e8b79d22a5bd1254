# SPDX-License-Identifier: GPL-3.0-or-later
"""``make test-again`` names the tests that failed, in TESTS, a line each, as their JUnit report does: others are left out."""

import os

import pytest


def leave_out_others(config, items):
    chosen = set(filter(None, os.environ.get("TESTS", "").split("\n")))
    if not chosen:
        return
    wanted = [item for item in items if _address(item) in chosen]
    if missing := chosen - {_address(item) for item in wanted}:
        raise pytest.UsageError(f"TESTS: {', '.join(sorted(missing))} is not found; run all of them again")
    config.hook.pytest_deselected(items=[item for item in items if _address(item) not in chosen])
    items[:] = wanted


def _address(item):
    file, _colons, name = item.nodeid.partition("::")
    return f"{file.removesuffix('.py').replace('/', '.')}::{name}"
