# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import apply, plan
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


def test_strangers_are_not_shut_out_while_nobody_is_let_in(tls_node):
    with pytest.raises(HardeningError) as refusal:
        plan(tls_node, {"name": "bank.example", "level": "secure"}, unlisted=Unlisted.REJECT)
    assert str(refusal.value) == (
        "unlisted_senders: 'reject' would refuse all mail but bounces, since no record has incoming; "
        "list those who may send, or set accept (with allow_weaker: true where it was reject)."
    )


def test_records_that_cannot_be_read_are_named_with_the_way_to_make_them_anew(tls_node):
    apply(tls_node, {"name": "bank.example", "level": "encrypt"})
    records = write(tls_node.store("domains/1/records.json"), "{")
    with pytest.raises(HardeningError) as refusal:
        plan(tls_node, {"name": "bank.example", "level": "encrypt"})
    assert str(refusal.value) == (
        f"{records} cannot be read. "
        "List all domains with exclusive: true and allow_weaker: true to make the tables anew."
    )
