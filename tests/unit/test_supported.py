# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to be supported is what is tested, and what an option needs on the controller comes with it."""

from __future__ import annotations

import ast
import pathlib

import yaml

TOP = pathlib.Path(__file__).parents[2]


def constant(name):
    """A constant of tools/ansible_core.py, which is no package."""
    tree = ast.parse((TOP / "tools" / "ansible_core.py").read_text())
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [target.id for target in node.targets] == [name]
    )


def test_every_version_of_ansible_core_from_the_required_one_on_is_tested():
    versions = [tuple(map(int, version.split("."))) for version in constant("PYTHONS")]
    oldest = ".".join(map(str, versions[0]))
    assert yaml.safe_load((TOP / "meta" / "runtime.yml").read_text())["requires_ansible"] == f">={oldest}.0"
    assert versions == [(2, minor) for minor in range(versions[0][1], versions[-1][1] + 1)]
    assert f"{oldest} to {'.'.join(map(str, versions[-1]))} in `make test-all`" in (TOP / "README.md").read_text()


def test_what_the_controller_needs_stands_in_the_execution_environment_and_in_the_readme():
    wanted = (TOP / "meta" / "ee-requirements.txt").read_text().split()
    assert {line.partition(">=")[0] for line in wanted} == {*constant("NEEDED")}
    assert all(f"{line.replace('>=', ' ')} for" in (TOP / "README.md").read_text() for line in wanted)
