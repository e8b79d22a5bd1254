# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of ansible-core that the collection supports, each in an environment of its own.

    ansible_core.py VERSION ...     make the environments of these that are not there yet, and print each version and its folder

A version is one of those below, C(oldest), C(newest) or C(all). As a module, it hands out the same to tests.
"""

from __future__ import annotations

import fcntl
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata

TOP = pathlib.Path(__file__).resolve().parent.parent
ENVIRONMENTS = TOP / ".cache" / "ansible-core"
PYTHONS = {
    "2.17": ("3.12", "3.11", "3.10"),
    "2.18": ("3.13", "3.12", "3.11"),
    "2.19": ("3.13", "3.12", "3.11"),
    "2.20": ("3.14", "3.13", "3.12"),
    "2.21": ("3.14", "3.13", "3.12"),
}
"""Of each version the Pythons that its controller takes, the best first (Ansible's support matrix)."""
NEEDED = ("cryptography", "dnspython")
"""What the collection needs beside it on a controller, as meta/ee-requirements.txt says."""


class NoPython(Exception):
    """This machine has no Python that a version takes."""


def here() -> str:
    """The version that runs the project's own commands."""
    return ".".join(metadata.version("ansible-core").split(".")[:2])


def named(words: Iterable[str]) -> list[str]:
    """The versions that these words mean, each once."""
    known = [*PYTHONS]
    meaning = {"oldest": known[:1], "newest": known[-1:], "all": known, **{version: [version] for version in known}}
    unknown = [word for word in words if word not in meaning]
    if unknown:
        raise SystemExit(f"{unknown[0]!r} is no supported version of ansible-core; take some of {', '.join(meaning)}.")
    return [*dict.fromkeys(version for word in words for version in meaning[word])]


def environment(version: str) -> pathlib.Path:
    """The folder of this version's environment, made where it is missing."""
    folder = ENVIRONMENTS / version
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(version, folder)
            (folder / ".complete").touch()
    return folder


def _make(version: str, folder: pathlib.Path) -> None:
    try:
        python = _said(str(TOP / "tools" / "find-python"), *PYTHONS[version])
    except subprocess.CalledProcessError:
        raise NoPython(f"ansible-core {version} takes Python {' or '.join(PYTHONS[version])}; install one.") from None
    _said(python, "-m", "venv", str(folder))
    _said(str(folder / "bin" / "pip"), "install", "--quiet", f"ansible-core~={version}.0", *NEEDED)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603 -- our own words


if __name__ == "__main__":
    for wanted in named(sys.argv[1:] or ["all"]):
        try:
            print(wanted, environment(wanted), flush=True)
        except NoPython as problem:
            raise SystemExit(str(problem)) from None
