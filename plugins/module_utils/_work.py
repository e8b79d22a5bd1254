# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module does around its own work: commands, errors, results."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple

from ._certificates import library
from ._errors import HardeningError
from ._postfix.commands import Completed, Postfix
from ._postfix.plan import Plan
from ._postfix.state import State
from ._proof.prove import prove
from ._transaction import carry_out

COMMON_ARGUMENTS: Dict[str, Any] = {"config_dir": {"type": "path", "default": "/etc/postfix"}}

Work = Callable[[Postfix, Dict[str, Any], bool], Dict[str, Any]]
"""``work(postfix, options, check_mode)``: the return values of a module."""


class Outcome(NamedTuple):
    """How a module ends."""

    failed: bool
    result: Dict[str, Any]
    warnings: List[str]

    def report(self, warn: Callable[[str], None], fail: Callable[..., None], succeed: Callable[..., None]) -> None:
        """Tell Ansible, by the three methods that a module has for it."""
        for warning in self.warnings:
            warn(warning)
        (fail if self.failed else succeed)(**self.result)


def attempt(work: Work, options: Dict[str, Any], check_mode: bool, run_command: Callable[..., Any]) -> Outcome:
    """Do the work of a module; what a person must know becomes a failure of one sentence."""
    if library.MISSING:
        sentence = "The Python library cryptography is missing on this node; install python3-cryptography."
        return Outcome(True, {"msg": sentence, "exception": library.MISSING}, [])

    def run(argv: List[str], stdin: Any = None) -> Completed:
        environment = {"LC_ALL": "C", "LANG": "C"}
        return Completed(*run_command(list(argv), data=stdin, environ_update=environment, handle_exceptions=False))

    try:
        result = work(Postfix(run, options["config_dir"]), options, check_mode)
    except HardeningError as problem:
        return Outcome(True, {"msg": str(problem), **problem.facts}, [])
    except FileNotFoundError as problem:
        sentence = f"{problem.filename} is missing on this node; install Postfix (role relay does) and openssl."
        return Outcome(True, {"msg": sentence}, [])
    return Outcome(False, result, result.pop("warnings", []))


def bring_about(postfix: Postfix, state: State, plan: Plan, check_mode: bool) -> Dict[str, Any]:
    """Carry a plan out, unless this is check mode or nothing differs; the common return values."""
    result: Dict[str, Any] = {"changed": plan.changed, "diff": plan.diff(), "pending": plan.summary(), "proof": []}
    if plan.changed and not check_mode:
        result["proof"] = carry_out(postfix, state, plan, lambda: prove(postfix))
    return result
