# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib

import pytest
import yaml

NAMES = [
    "smtp_domain_policy",
    "smtp_rollback",
    "smtp_settings",
    "smtp_tls_cert",
    "smtp_tls_info",
    "smtp_tls_mode",
    "smtp_tls_probe",
]


def is_documented(value):
    """With a sample, or with documented parts."""
    return "returned" in value and ("sample" in value or all(map(is_documented, value["contains"].values())))


@pytest.mark.parametrize("name", NAMES)
def test_documentation_examples_and_returns_can_be_read(name):
    module = importlib.import_module(f"ansible_collections.mailfleet.smtp_hardening.plugins.modules.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert documentation["module"] == name
    assert all(f"mailfleet.smtp_hardening.{name}" in task for task in yaml.safe_load(module.EXAMPLES)[:1])
    returned = yaml.safe_load(module.RETURN)
    assert all(map(is_documented, returned.values()))
    assert returned["interrupted"]["returned"].startswith("always")
