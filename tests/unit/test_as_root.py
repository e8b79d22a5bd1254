# SPDX-License-Identifier: GPL-3.0-or-later
"""How make's targets become root, with an id and a sudo that only play."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

AS_ROOT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "as-root"
ASKS_FOR_NOTHING = 'if [ "$1" = -n ]; then shift; fi; exec "$@"'
ASKS_FOR_A_PASSWORD = '[ "$1" != -n ] || exit 1; exec "$@"'


@pytest.fixture
def programs(tmp_path):
    """A folder with all programs that there are, the user's identity among them."""

    def have(name: str, text: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    have.folder = tmp_path
    have("id", 'case "$1" in -u) echo 1000 ;; *) echo alice ;; esac')
    for needed in ("env", "printenv", "true"):
        (tmp_path / needed).symlink_to(shutil.which(needed))
    return have


def called(programs, *command, **environment):
    """What came of it where there is no terminal."""
    return subprocess.run(
        ["/bin/bash", AS_ROOT, *command],
        env={"PATH": str(programs.folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )


def test_root_runs_the_command_as_it_stands(programs):
    programs("id", "echo 0")
    assert called(programs, "printenv", "DISTRO", DISTRO="forky").stdout == "forky\n"


def test_a_user_runs_it_through_sudo_with_what_the_lab_needs_to_know(programs):
    programs("sudo", f"unset DISTRO LAB\n{ASKS_FOR_NOTHING}")  # as sudo leaves nothing of the environment
    told = called(programs, "printenv", "LAB_USER", "DISTRO", "LAB", DISTRO="forky", LAB="two words")
    assert told.stdout.splitlines() == ["alice", "forky", "two words"]


def test_what_is_not_set_stays_unset(programs):
    programs("sudo", ASKS_FOR_NOTHING)
    assert "LAB_PREPARED" not in called(programs, "printenv").stdout


def test_the_command_says_how_it_ended(programs):
    programs("sudo", ASKS_FOR_NOTHING)
    assert called(programs, "printenv", "NOT_SET").returncode == 1


@pytest.mark.parametrize(
    ("sudo", "remedy"),
    [(None, "let root install sudo"), (ASKS_FOR_A_PASSWORD, "there is no terminal to ask in")],
    ids=["no sudo", "no terminal"],
)
def test_who_cannot_become_root_is_told_what_to_do(programs, sudo, remedy):
    if sudo:
        programs("sudo", sudo)
    ended = called(programs, "printenv")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert remedy in ended.stderr
