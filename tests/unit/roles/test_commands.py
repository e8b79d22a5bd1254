# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import yaml

TASKS = sorted((pathlib.Path(__file__).parents[3] / "roles").glob("*/tasks/*.yml"))
POSTFIX = {"postconf", "postfix", "postmap", "postqueue"}


def tasks(listed):
    for task in listed or ():
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


def test_roles_find_postfixs_programs_whatever_the_path_of_the_user_says():
    calls = [
        (path.name, task["name"], task.get("environment"))
        for path in TASKS
        for task in tasks(yaml.safe_load(path.read_text()))
        if POSTFIX & {*map(str, (task.get("ansible.builtin.command") or {}).get("argv", ()))}
    ]
    assert len(calls) > 5
    assert [call for call in calls if call[2] != "{{ relay_environment }}"] == []
