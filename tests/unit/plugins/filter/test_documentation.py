# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters are documented in files of their own, beside the code."""

from __future__ import annotations

import importlib
import inspect
import pathlib

import pytest
import yaml

FOLDER = pathlib.Path(__file__).parents[4] / "plugins" / "filter"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def documented(name):
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


def function(name):
    module = importlib.import_module(f"ansible_collections.mailfleet.smtp_hardening.plugins.filter.{name}")
    return module.FilterModule().filters()[name]


def test_every_filter_has_its_documentation_and_no_documentation_is_without_its_filter():
    assert sorted(path.stem for path in FOLDER.glob("*.yml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_options_of_a_filter_are_the_arguments_that_it_takes(name):
    documentation = documented(name)["DOCUMENTATION"]
    assert documentation["name"] == name
    _hosts, *taken = inspect.signature(function(name)).parameters.values()
    assert list(documentation["options"]) == ["_input", *(one.name for one in taken)]
    for one in taken:
        required = documentation["options"][one.name].get("required", False)
        assert required is (one.default is one.empty), one.name
    by_position = [one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert documentation["positional"] == ", ".join(by_position)


@pytest.mark.parametrize("name", NAMES)
def test_each_option_and_what_is_returned_has_a_type_and_a_sentence(name):
    found = documented(name)
    for what, said in [*found["DOCUMENTATION"]["options"].items(), *found["RETURN"].items()]:
        assert said["description"] and said["type"], what


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_can_be_read_and_use_the_filter_by_its_whole_name(name):
    examples = documented(name)["EXAMPLES"]
    assert yaml.safe_load(examples)
    assert f"mailfleet.smtp_hardening.{name}(" in examples
