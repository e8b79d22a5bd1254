# SPDX-License-Identifier: GPL-3.0-or-later
"""A node belongs to the CA of one controller."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._other_cas import refuse_others
from ansible_collections.mailfleet.smtp_hardening.tests.unit.signing_tasks import NOBODYS
from pki import authority, certify, ec_key

OURS, THEIRS, PARTNER = authority("Ours"), authority("Theirs"), authority("Partner")
RENEWED = authority("Ours", key=OURS.key, end=4000)
PUBLIC = authority("Public")
NAMESAKE = authority("Ours")
ITSELF = certify("mx1.example.com", ec_key())


def leaf(issuer):
    return certify("mx1.example.com", ec_key(), issuer, ["mx1.example.com"])


def facts(active, trusted):
    shown = [{"chain": leaf(ca).pem + ca.pem} if ca is not ITSELF else {"chain": ITSELF.pem} for ca in active]
    return {
        "active": {"server": shown, "client": []},
        "trust": {"authorities": [{"chain": ca.pem} for ca in trusted]},
    }


def certificates(*identities):
    return [identity.certificate for identity in identities]


@pytest.mark.parametrize(
    ("active", "trusted", "ours", "others"),
    [
        ([], [], [OURS], []),
        ([], [], [], []),
        ([OURS], [OURS], [OURS], []),
        ([OURS], [OURS], [RENEWED], []),
        ([ITSELF], [], [OURS], []),
        ([PUBLIC], [], [OURS], []),
        ([PUBLIC], [], [], []),
        ([PUBLIC], [OURS], [OURS], []),
        ([], [PARTNER], [OURS], [PARTNER]),
        ([PARTNER], [PARTNER], [], [PARTNER]),
        ([OURS], [OURS, PARTNER], [OURS], []),
        ([OURS, THEIRS], [OURS, THEIRS], [OURS, THEIRS], []),
        ([OURS], [OURS, THEIRS], [OURS], []),
    ],
)
def test_a_node_of_nobodys_or_of_our_own_ca_is_let_be(active, trusted, ours, others):
    refuse_others("mx1", facts(active, trusted), "/srv/ca.pem", certificates(*ours), certificates(*others))


@pytest.mark.parametrize(
    ("active", "trusted", "ours", "others", "said"),
    [
        ([THEIRS], [THEIRS], [OURS], [], "mx1 holds a certificate of CN=Theirs"),
        ([THEIRS], [OURS, THEIRS], [OURS], [], "mx1 holds a certificate of CN=Theirs"),
        ([], [THEIRS], [OURS], [], "mx1 trusts CN=Theirs"),
        ([ITSELF], [PARTNER, THEIRS], [OURS], [PARTNER], "mx1 trusts CN=Theirs"),
        ([NAMESAKE], [NAMESAKE], [OURS], [], "mx1 holds a certificate of CN=Ours"),
        ([THEIRS], [THEIRS], [], [], "mx1 holds a certificate of CN=Theirs"),
        ([], [THEIRS], [], [], "mx1 trusts CN=Theirs"),
    ],
)
def test_a_node_of_another_ca_is_named_with_it(active, trusted, *, ours, others, said):
    with pytest.raises(HardeningError) as refusal:
        refuse_others("mx1", facts(active, trusted), "/srv/ca.pem", certificates(*ours), certificates(*others))
    sentence = str(refusal.value)
    assert sentence.startswith(f"{said} (serial " if "Ours" in said else f"{said}, ")
    assert ("is not the CA in /srv/ca.pem;" if ours else "/srv/ca.pem is not there, so that no CA is made") in sentence
    assert all(remedy in sentence for remedy in ("copy that CA", "rotate_certificates", "trust.authorities"))


@pytest.mark.parametrize("said", [NOBODYS, {}, {"trust": None, "active": None}])
def test_a_node_that_has_nothing_belongs_to_nobody(said):
    refuse_others("mx1", said, "/srv/ca.pem", [], [])
