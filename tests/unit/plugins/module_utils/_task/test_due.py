# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import json
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.renewals import Last
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import due, renewal
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

LONG_AGO = "2026-11-27T12:00:00Z"


class Tool:
    """A tool's folder, with a key and a certificate, and the program beside its options."""

    def __init__(self, folder):
        self.folder = folder
        self.program = str(folder / "store" / "renewal" / "renew.pyz")
        self.external = {name: str(folder / "live" / name) for name in ("private_key", "certificate")}
        self.options(self.external)
        for path in self.external.values():
            write(path, "first")

    def options(self, external):
        self.external = external
        write(
            str(self.folder / "store" / "renewal" / "public.json"),
            json.dumps({"external": external, "config_dir": "/p"}),
        )

    def looked_at(self, **over):
        """Let the files that are there now have been looked at."""
        last = Last(due.digest(due.pair_at(self.external)), due.now(), due.now())
        write(str(self.folder / "store" / "renewal" / "public.last.json"), Last(**{**last.__dict__, **over}).to_json())

    @property
    def is_due(self):
        return due.is_due(self.program, "public")


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path)


def renamed(tool, path):
    write(f"{path}.new", "second")
    os.replace(f"{path}.new", path)


def written_in_place(tool, path):
    write(path, "second")


def relinked(tool, path):
    """As dehydrated does."""
    write(f"{path}-2", "second")
    os.symlink(f"{os.path.basename(path)}-2", f"{path}.new")
    os.replace(f"{path}.new", path)


@pytest.mark.parametrize("way", [renamed, written_in_place, relinked])
@pytest.mark.parametrize("file", ["private_key", "certificate"])
def test_what_the_files_hold_counts_however_it_came_there(tool, way, file):
    assert tool.is_due
    tool.looked_at()
    assert not tool.is_due
    way(tool, tool.external[file])
    assert tool.is_due
    tool.looked_at()
    assert not tool.is_due


def test_a_folder_that_is_switched_is_noticed(tool, tmp_path):
    for turn in ("1", "2"):
        for name in tool.external:
            write(str(tmp_path / turn / name), turn)
    os.symlink("1", tmp_path / "current")
    tool.options({name: str(tmp_path / "current" / name) for name in tool.external})
    tool.looked_at()
    assert not tool.is_due
    os.symlink("2", tmp_path / "next")
    os.replace(tmp_path / "next", tmp_path / "current")
    assert tool.is_due


@pytest.mark.parametrize(
    ("last", "runs", "again"),
    [
        ({"problem": "no."}, True, False),
        ({"problem": "no.", "time": LONG_AGO}, True, True),
        ({"problem": "no.", "time": "2099-01-01T00:00:00Z"}, True, True),
        ({"problem": "no.", "waits": True}, False, False),
        ({"problem": "no.", "waits": True}, True, True),
        ({"time": LONG_AGO}, True, False),
    ],
)
def test_what_failed_is_tried_again_after_a_while_and_when_postfix_runs_again(tool, monkeypatch, *, last, runs, again):
    monkeypatch.setattr(due._command, "run", lambda argv, stdin=None: Completed(0 if runs else 1, "", ""))
    tool.looked_at(**last)
    assert tool.is_due is again


@pytest.mark.parametrize("broken", ["public.json", "public.last.json"])
def test_what_cannot_be_read_is_looked_at_more_closely(tool, broken):
    tool.looked_at()
    write(str(tool.folder / "store" / "renewal" / broken), "{")
    assert tool.is_due


def test_files_that_are_gone_are_nothing_new_once_that_was_told(tool):
    tool.looked_at()
    os.unlink(tool.external["certificate"])
    assert tool.is_due
    tool.looked_at(problem="gone.")
    assert not tool.is_due


@pytest.mark.parametrize(("words", "asked"), [([], 1), (["public"], 1), (["public", "more"], 1)])
def test_the_program_goes_on_where_something_is_new(tool, monkeypatch, words, asked):
    calls = []
    monkeypatch.setattr(renewal, "main", lambda argv: calls.append(argv) or 7)
    assert due.main([tool.program, *words]) == 7
    assert len(calls) == asked


def test_the_program_ends_where_nothing_is_new(tool, monkeypatch):
    monkeypatch.setattr(renewal, "main", pytest.fail)
    tool.looked_at()
    assert due.main([tool.program, "public"]) == 0


def test_the_time_is_utc():
    assert due.now()[:13] == datetime.datetime.now(datetime.timezone.utc).isoformat()[:13]
