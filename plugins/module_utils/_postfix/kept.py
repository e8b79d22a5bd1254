# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ciphers that are stricter than a profile's stay: a profile is a floor, and only what a task says itself takes them out."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping, NamedTuple, Optional, Tuple

from .._model.allowance import Allowance
from .._model.levels import CipherGrade
from .._model.policies import P
from .levels import Parameters, governing_prefix
from .values import colon_list, known


class Kept(NamedTuple):
    """A stricter value than the profile's, by the name of its option."""

    option: str
    value: str


def keep_stricter(
    effective: Mapping[str, str], side: str, asked: P, stated: P, allowance: Allowance
) -> Tuple[P, List[Kept]]:
    """What is asked of one side, with what is stricter in main.cf in its place; ``stated`` is what the task says itself."""
    smtp = {"server": "smtpd", "client": "smtp"}[side]
    prefix = governing_prefix(smtp, str(asked.level) not in {"None", "none", "may"})
    found: List[Kept] = []
    grade = known(CipherGrade, effective.get(f"{prefix}_ciphers", ""))
    if asked.ciphers and grade and not stated.ciphers and not allowance.covers(f"{side}.ciphers"):
        if asked.ciphers.is_weaker_than(grade):
            asked = replace(asked, ciphers=grade)
            found.append(Kept(f"{side}.ciphers", grade.value))
    if asked.exclude_ciphers is not None and stated.exclude_ciphers is None:
        excluded = colon_list(effective.get(f"{smtp}_tls_exclude_ciphers", ""))
        more = tuple(cipher for cipher in dict.fromkeys(excluded) if cipher not in asked.exclude_ciphers)
        if more and not allowance.covers(f"{side}.exclude_ciphers"):
            asked = replace(asked, exclude_ciphers=asked.exclude_ciphers + more)
            found.append(Kept(f"{side}.exclude_ciphers", ", ".join(more)))
    return asked, found


def keep_mandatory_exclusions(
    effective: Mapping[str, str], wanted: Parameters, side: str, stated: Optional[Tuple[str, ...]], allowance: Allowance
) -> Parameters:
    """The list that is added where TLS is mandatory stays as well, for domains' records rest on it."""
    name = f"{'smtpd' if side == 'server' else 'smtp'}_tls_mandatory_exclude_ciphers"
    if stated is not None or allowance.covers(f"{side}.exclude_ciphers") or not effective.get(name):
        return wanted
    return {parameter: value for parameter, value in wanted.items() if parameter != name}
