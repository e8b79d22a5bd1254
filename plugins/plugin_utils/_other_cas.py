# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a node belongs to another CA than the controller's, by what smtp_tls_info says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    is_issued_by,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    public_bytes,
    public_key_of,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.shown import name_text
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError

if TYPE_CHECKING:
    from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.kinds import Certificate


def refuse_others(
    node: str, facts: Facts, place: str, ours: Sequence[Certificate], others: Sequence[Certificate]
) -> None:
    """Stop at a node that holds or trusts a CA which is neither the controller's, at ``place``, nor one of the ``others`` that
    the inventory names."""
    found = _found(facts, ours, others)
    if found is None:
        return
    holds, ca = found
    name = name_text(ca.subject)
    which = f"{name} (serial {ca.serial_number:X})" if any(ca.subject == one.subject for one in ours) else name
    beside = f"which is not the CA in {place}" if ours else f"and {place} is not there, so that no CA is made beside it"
    raise CertificateError(
        f"{node} {'holds a certificate of' if holds else 'trusts'} {which}, {beside}; copy that CA from the controller that has it, "
        "replace it by the playbook rotate_certificates (smtp_next_fleet_ca), or list it in trust.authorities (smtp_trust) where it "
        "is a partner's."
    )


def _found(
    facts: Facts, ours: Sequence[Certificate], others: Sequence[Certificate]
) -> Optional[Tuple[bool, Certificate]]:
    """The first CA of somebody else, and whether a certificate of it is active.

    Whoever got a certificate of a fleet's CA trusts that CA. One that is trusted beside ours is a partner's of former times, or
    on its way out.
    """
    trusted = [_first(authority) for authority in (facts.get("trust") or {}).get("authorities") or ()]
    strange = [ca for ca in trusted if not _is_among(ca, [*ours, *others])]
    for leaf in _active(facts):
        issuer = next((ca for ca in strange if is_issued_by(leaf, ca)), None)
        if issuer is not None:
            return True, issuer
    if strange and not any(_is_among(ca, ours) for ca in trusted):
        return False, strange[0]
    return None


def _active(facts: Facts) -> List[Certificate]:
    return [_first(shown) for certificates in (facts.get("active") or {}).values() for shown in certificates]


def _first(described: Facts) -> Certificate:
    """The certificate that a module has described."""
    return read_certificates("smtp_tls_info", str(described["chain"]).encode())[0]


def _is_among(ca: Certificate, certificates: Iterable[Certificate]) -> bool:
    """A CA is its name and its key: its certificate may have been made anew for more years."""
    return any(
        ca.subject == one.subject and public_bytes(public_key_of(ca)) == public_bytes(public_key_of(one))
        for one in certificates
    )
