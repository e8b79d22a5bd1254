# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node goes through leaves old or new: the tests in ../node, which run on the nodes themselves, on all at once."""

import on_nodes as nodes
import pytest

testinfra_hosts = ["local://"]


def pytest_generate_tests(metafunc):
    if "on_nodes" in metafunc.fixturenames:
        tests = nodes.collect()
        metafunc.parametrize("test", tests, ids=tests)


@pytest.fixture(scope="module")
def on_nodes(request):
    """The chosen tests of all nodes, under way."""
    chosen = [item.callspec.params["test"] for item in request.session.items if "on_nodes" in item.fixturenames]
    running = nodes.Run(chosen)
    yield running
    running.end()
    request.config.stash[nodes.SAID] = running.said


def test_on_a_node(on_nodes, test, request):
    request.node.outcome = found = on_nodes.outcome(test)
    if found.word == "skipped":
        pytest.skip(found.text)
    assert found.word == "passed", found.text
