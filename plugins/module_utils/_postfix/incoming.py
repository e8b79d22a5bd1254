# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What senders must show: an access table by sender domain (access(5)) that names restriction classes.

A class is needed for each kind of demand (RESTRICTION_CLASS_README), in testing and in earnest. A
certificate is found good by a "permit", after which Postfix leaves smtpd_sender_restrictions: what an
operator put there behind ours is not asked for such mail.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional, Set, Tuple

from .._model.domains import DomainPolicy, Mode
from .._model.incoming import Demand, Unlisted
from .levels import Parameters
from .state import State, split_list, without
from .tables import Table

RESTRICTIONS = "smtpd_sender_restrictions"
CLASSES = "smtpd_restriction_classes"
PREFIX = "smtp_hardening_"
"""Of our restriction classes."""
UNLISTED = f"{PREFIX}unlisted"
NULL_SENDER = "<>"
"""postconf(5), smtpd_null_access_lookup_key: bounces come from nobody."""

_WARN = "warn_if_reject "


def senders(records: Iterable[DomainPolicy], unlisted: Unlisted, parents_match: bool) -> Table:
    """The access table: each domain, the names below it included, and what is asked of it."""
    records = tuple(records)
    table: Table = {}
    classes = _class_names(records)
    known = None if unlisted is Unlisted.ACCEPT else "permit"
    for record in records:
        if record.incoming is None:
            continue
        demanded = classes.get(_kind(record))
        action = ", ".join(step for step in (demanded, known) if step) or "DUNNO"
        table[record.name] = action
        if not parents_match:
            table[f".{record.name}"] = action
    if unlisted is not Unlisted.ACCEPT:
        table[NULL_SENDER] = "permit"
    return table


def parents_match(state: State) -> bool:
    """Whether a domain in an access table stands for the names below it (parent_domain_matches_subdomains)."""
    return "smtpd_access_maps" in split_list(state.effective["parent_domain_matches_subdomains"])


def incoming_parameters(
    state: State, records: Iterable[DomainPolicy], table: Optional[str], unlisted: Unlisted
) -> Parameters:
    """Our table first in smtpd_sender_restrictions, and the classes that it names."""
    records = tuple(records)
    ours_before = [name for name in split_list(state.explicit.get(CLASSES, "")) if name.startswith(PREFIX)]
    wanted: Parameters = dict.fromkeys(ours_before)
    definitions = {_class_names(records)[kind]: _definition(kind) for kind in _kinds(records)}
    if unlisted is not Unlisted.ACCEPT:
        definitions[UNLISTED] = (_WARN if unlisted is Unlisted.WARN else "") + _refusal(
            "Mail from this domain is not expected here"
        )
    wanted.update(definitions)
    first = [f"check_sender_access {table}"] if table else []
    first += [UNLISTED] if UNLISTED in definitions else []
    if first or ours(state, RESTRICTIONS):
        wanted[RESTRICTIONS] = ", ".join(filter(None, [*first, _others(state, RESTRICTIONS)])) or None
    if definitions or ours_before:
        wanted[CLASSES] = ", ".join(filter(None, [*sorted(definitions), _others(state, CLASSES)])) or None
    if any(record.incoming and record.incoming.pins for record in records):
        wanted["smtpd_tls_fingerprint_digest"] = "sha256"
    return wanted


def read_unlisted(state: State) -> Unlisted:
    """What main.cf does with mail from domains that no record lets in."""
    if UNLISTED not in split_list(state.explicit.get(RESTRICTIONS, "")):
        return Unlisted.ACCEPT
    return Unlisted.WARN if state.explicit.get(UNLISTED, "").startswith(_WARN) else Unlisted.REJECT


def demands(state: State) -> Set[Demand]:
    """What main.cf demands in earnest of mail from some domain."""
    names = [name for name in split_list(state.explicit.get(CLASSES, "")) if not name.endswith("_testing")]
    return {demand for demand in Demand if any(name.startswith(f"{PREFIX}{demand.value}") for name in names)}


def bypassed(state: State) -> List[str]:
    """The listeners for which master.cf says something else of smtpd_sender_restrictions: ours are not asked there."""
    return [s.key for s in state.services if s.is_listener and RESTRICTIONS in s.overrides]


def ours(state: State, parameter: str) -> str:
    """Our part of smtpd_sender_restrictions or smtpd_restriction_classes."""
    return ", ".join(re.findall(_ours(state), state.explicit.get(parameter, "")))


def _others(state: State, parameter: str) -> str:
    """What an operator put there beside ours."""
    return without(state.explicit.get(parameter, ""), _ours(state))


def _ours(state: State) -> str:
    return rf"check_sender_access \w+:{re.escape(state.store)}/domains/\d+/senders|{PREFIX}\w+"


Kind = Tuple[Demand, Mode, Tuple[str, ...]]


def _kind(record: DomainPolicy) -> Kind:
    incoming = record.incoming
    return (incoming.demand, record.mode, incoming.pins) if incoming else (Demand.NOTHING, record.mode, ())


def _kinds(records: Iterable[DomainPolicy]) -> List[Kind]:
    return [kind for kind in dict.fromkeys(_kind(r) for r in records) if kind[0] is not Demand.NOTHING]


def _class_names(records: Iterable[DomainPolicy]) -> Dict[Kind, str]:
    kinds = _kinds(records)
    pinned = sorted({pins for _demand, _mode, pins in kinds if pins})
    return {kind: _class_name(kind, pinned) for kind in kinds}


def _class_name(kind: Kind, pinned: List[Tuple[str, ...]]) -> str:
    demand, mode, pins = kind
    number = f"_{pinned.index(pins) + 1}" if pins else ""
    return f"{PREFIX}{demand.value}{number}{'_testing' if mode is Mode.TESTING else ''}"


def _definition(kind: Kind) -> str:
    """In testing, Postfix logs "reject_warning" where it would have refused."""
    demand, mode, pins = kind
    warn = _WARN if mode is Mode.TESTING else ""
    steps = [f"{warn}reject_plaintext_session"]
    if demand is Demand.CERTIFICATE:
        steps.append("permit_tls_all_clientcerts")
        steps.append(warn + _refusal("Mail from this domain needs a client certificate of a CA that is trusted here"))
    if demand is Demand.PINS:
        steps.append("check_ccert_access inline:{ " + ", ".join(f"{{ {pin} = OK }}" for pin in pins) + " }")
        steps.append(warn + _refusal("Mail from this domain needs a client certificate that is pinned here"))
    return ", ".join(steps)


def _refusal(text: str) -> str:
    return f"check_sender_access static:{{554 5.7.1 {text}}}"
