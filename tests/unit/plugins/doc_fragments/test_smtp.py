# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules say alike is said once, in a part of its own, and by every module that has it."""

from __future__ import annotations

import importlib
import pathlib

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.doc_fragments.smtp import ModuleDocFragment

FRAGMENT = "mailfleet.smtp_hardening.smtp"
PARTS = {
    ".".join([FRAGMENT, *([] if part == "DOCUMENTATION" else [part.lower()])]): yaml.safe_load(text)
    for part, text in vars(ModuleDocFragment).items()
    if part.isupper()
}
FILES = (pathlib.Path(__file__).parents[4] / "plugins" / "modules").glob("smtp_*.py")
NAMES = sorted(path.stem for path in FILES if "def main(" in path.read_text(encoding="utf-8"))
"""What runs on a node: a module that is an action alone has nothing to run there."""


def module(name):
    loaded = importlib.import_module(f"ansible_collections.mailfleet.smtp_hardening.plugins.modules.{name}")
    return yaml.safe_load(loaded.DOCUMENTATION)


def options(found, above=""):
    """Every option with its suboptions, by path."""
    for name, option in found.items():
        yield above + name, option
        yield from options(option.get("suboptions", {}), f"{above}{name}.")


@pytest.mark.parametrize("part", PARTS)
def test_each_option_has_a_type_and_a_sentence(part):
    for name, option in options(PARTS[part]["options"]):
        assert option["type"], name
        sentences = option["description"]
        for sentence in [sentences] if isinstance(sentences, str) else sentences:
            assert sentence.endswith("."), name


@pytest.mark.parametrize("part", PARTS)
def test_each_attribute_says_how_far_it_is_supported(part):
    for name, attribute in PARTS[part].get("attributes", {}).items():
        assert attribute["description"].endswith("."), name
        assert attribute["support"] in ("full", "partial", "none"), name


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_said_by_some_module(part):
    assert [name for name in NAMES if part in module(name)["extends_documentation_fragment"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_each_option_from_one_place(name):
    said = module(name)
    fragments = said["extends_documentation_fragment"]
    assert set(fragments) <= set(PARTS)
    taken = [option for part in fragments for option in PARTS[part]["options"]]
    own = list(said.get("options", {}))
    assert len({*taken, *own}) == len(taken) + len(own)
    assert {FRAGMENT, f"{FRAGMENT}.attributes"} <= set(fragments)
