# SPDX-License-Identifier: GPL-3.0-or-later
"""A test is found where its source lies, under its name, and is short enough to be read."""

from __future__ import annotations

import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).parents[2]
SOURCES = [path.relative_to(TOP) for path in sorted(TOP.glob("plugins/**/*.py")) if path.name != "__init__.py"]
TESTS = [path.relative_to(TOP / "tests" / "unit") for path in sorted(TOP.glob("tests/unit/plugins/**/test_*.py"))]
FILES = [path.relative_to(TOP) for folder in ("tests", "molecule") for path in sorted(TOP.glob(f"{folder}/**/*.py"))]
OF_A_WHOLE_FOLDER = {"test_arguments", "test_documentation", "test_results", "test_secrecy"}
LINES = 500


def mirrored(test):
    """The source that a test is about: test_NAME, or test_NAME_SUBJECT where one file would be too long.

    An underscore at the beginning of a name counts for nothing. Of two names that fit, the longer one is meant.
    """
    names = {f"test_{one.stem.lstrip('_')}": one for one in SOURCES if one.parent == test.parent}
    fitting = [name for name in names if test.stem == name or test.stem.startswith(f"{name}_")]
    return names[max(fitting, key=len)] if fitting else None


def does_something(source):
    """A file of names for types alone leaves nothing to test."""
    return re.search(r"^(class|def) ", (TOP / source).read_text(encoding="utf-8"), re.M) is not None


def test_every_source_has_a_test_of_its_name_in_the_same_folder():
    assert set(filter(does_something, SOURCES)) - set(map(mirrored, TESTS)) == set()


def test_every_test_has_a_source_of_its_name_in_the_same_folder():
    assert [test for test in TESTS if mirrored(test) is None and test.stem not in OF_A_WHOLE_FOLDER] == []


def test_every_file_of_tests_can_be_read_in_one_go():
    lines = {file: len((TOP / file).read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > LINES} == {}


@pytest.mark.parametrize(
    ("test", "source"),
    [
        ("module_utils/test_errors.py", "module_utils/_errors.py"),
        ("module_utils/_postfix/test_domains_requiretls.py", "module_utils/_postfix/domains.py"),
        ("module_utils/_postfix/test_domain_checks_ratchet.py", "module_utils/_postfix/domain_checks.py"),
        ("module_utils/_postfix/test_domain.py", None),
        ("module_utils/test_domains.py", None),
    ],
)
def test_a_name_may_be_followed_by_a_subject(test, source):
    found = mirrored(pathlib.Path("plugins", test))
    assert found == (source and pathlib.Path("plugins", source))
