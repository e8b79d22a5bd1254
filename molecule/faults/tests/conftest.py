# SPDX-License-Identifier: GPL-3.0-or-later
"""A test here stands for one on the nodes: its time in reports is that one's, and its failure too."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import on_nodes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    outcome = getattr(item, "outcome", None)
    if "on_nodes" in item.fixturenames:
        report.duration = outcome.seconds if outcome and report.when == "call" else 0
    return report


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(on_nodes.SAID, []):
        terminalreporter.write_line(line)
