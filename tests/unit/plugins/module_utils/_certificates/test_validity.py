# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
from types import SimpleNamespace

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import validity

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
LATER = datetime.datetime(2026, 4, 1, 12, tzinfo=datetime.timezone.utc)


def old(before, after):
    """A certificate as cryptography before 42 gives it."""
    return SimpleNamespace(not_valid_before=before.replace(tzinfo=None), not_valid_after=after.replace(tzinfo=None))


def new(before, after):
    """A certificate as cryptography since 42 gives it."""
    return SimpleNamespace(not_valid_before_utc=before, not_valid_after_utc=after)


@pytest.mark.parametrize("certificate", [old(NOW, LATER), new(NOW, LATER)])
def test_times_are_aware_and_in_utc_with_any_version_of_cryptography(certificate):
    assert (validity.not_before(certificate), validity.not_after(certificate)) == (NOW, LATER)


def test_a_real_certificate_begins_before_it_ends(issue):
    leaf = issue(days=90, now=NOW).leaf
    assert validity.not_before(leaf) == NOW - datetime.timedelta(hours=1)
    assert validity.not_after(leaf) == NOW + datetime.timedelta(days=90)


def test_now_is_aware():
    assert validity.utc_now().utcoffset() == datetime.timedelta(0)
