# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model import words
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import CipherGrade
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.options import (
    arguments,
    items,
    kinds,
    path,
    read_options,
    switch,
    word,
)


@dataclass(frozen=True)
class Wish:
    name: str = "no option"
    grade: Optional[CipherGrade] = field(default=None, metadata=word(CipherGrade, "tls_grade"))
    reuse: Optional[bool] = field(default=None, metadata=switch("tls_reuse"))
    wrapped: Optional[bool] = field(default=None, metadata=switch())
    domains: Optional[Tuple[str, ...]] = field(default=None, metadata=items(words.domain_name))
    file: Optional[str] = field(default=None, metadata=path(words.absolute_path))


def test_ansible_checks_what_each_field_says_and_no_more():
    assert arguments(Wish) == {
        "grade": {"type": "str", "choices": ["medium", "high"]},
        "reuse": {"type": "bool"},
        "wrapped": {"type": "bool"},
        "domains": {"type": "list", "elements": "str"},
        "file": {"type": "path"},
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, {}),
        ({}, {}),
        ({"grade": None, "name": "not read", "other": 1}, {}),
        ({"grade": "high"}, {"grade": CipherGrade.HIGH}),
        ({"reuse": False, "wrapped": True}, {"reuse": False, "wrapped": True}),
        ({"domains": ["Bank.Example", "a.example"]}, {"domains": ("bank.example", "a.example")}),
        ({"domains": []}, {"domains": ()}),
        ({"file": "/etc/ssl/ca.pem"}, {"file": "/etc/ssl/ca.pem"}),
    ],
)
def test_what_a_task_writes_is_read_by_field_and_what_it_leaves_out_is_left_alone(given, read):
    assert read_options(Wish, "client", given) == read


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"grade": "low"}, "client.grade: 'low'"),
        ({"domains": ["a.example", "b c"]}, "client.domains: 'b c'"),
        ({"file": "ca.pem"}, "client.file: 'ca.pem'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_the_name_of_its_option(given, option):
    with pytest.raises(InvalidValue) as refusal:
        read_options(Wish, "client", given)
    assert str(refusal.value).startswith(option)


def test_an_option_says_which_parameter_has_its_value():
    assert {name: kind.parameter for name, kind in kinds(Wish) if kind.parameter} == {
        "grade": "tls_grade",
        "reuse": "tls_reuse",
    }
