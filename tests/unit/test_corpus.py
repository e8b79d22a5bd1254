# SPDX-License-Identifier: GPL-3.0-or-later
"""The corpus of strangers' configurations has what strangers set."""

from __future__ import annotations

import pathlib
import re

import pytest

CORPUS = pathlib.Path(__file__).parents[2] / "molecule" / "faults" / "node" / "corpus"
TEXTS = [path.read_text(encoding="utf-8").partition("=== master.cf\n") for path in sorted(CORPUS.glob("*.cf"))]
COUNTED = [
    line.split(" ", 1)[1]
    for line in (CORPUS / "counted.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
STOCK = ("pickup/unix pickup", "qmgr/unix qmgr")
"""In every configuration that does not replace them."""


def test_there_are_forty_of_them():
    assert len(TEXTS) >= 40


@pytest.mark.parametrize("name", [name for name in COUNTED if "/" not in name])
def test_a_parameter_that_strangers_set_is_set_in_the_corpus(name):
    assert any(re.search(rf"^{name}\s*=", main, re.MULTILINE) for main, _mark, _services in TEXTS)


@pytest.mark.parametrize("service", [name for name in COUNTED if "/" in name and name not in STOCK])
def test_a_service_that_strangers_have_is_in_the_corpus(service):
    key, command = service.split()
    name, _slash, kind = key.rpartition("/")
    entry = re.compile(rf"^{re.escape(name)}\s+{kind}\s.*\s{command}\b", re.MULTILINE)
    assert any(entry.search(services) for _main, _mark, services in TEXTS)
