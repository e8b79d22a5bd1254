# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domain_checks import check_shadowed
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
        f"{records} cannot be read, so nobody knows any more what the domain tables beside it were made from. List all "
        "domains with exclusive: true and allow_weaker: true (smtp_domain_policy), or bring an earlier state back "
        "(smtp_rollback with allow_weaker: true)."
    )


@pytest.fixture
def shadowed(tls_node, tmp_path):
    """Whether a record is refused because a table of the operator's own says something else."""

    def look(table, files):
        own = str(tmp_path / "own")
        for suffix in files:
            write(own + suffix, "")
        tls_node.tables[own] = {"bank.example": "may"}
        tls_node.append(f"smtp_tls_policy_maps = {table.format(own)}\n")
        tls_node.sources[table.format(own)] = {}
        planned = plan(tls_node, {"name": "bank.example", "level": "encrypt"})
        try:
            check_shadowed(tls_node.postfix, tls_node.state, planned.plan)
        except InvalidValue as refusal:
            assert str(refusal) == (
                f"domains: 'bank.example' has an entry in {table.format(own)} too, which says something else; take it out."
            )
            return True
        return False

    return look


@pytest.mark.parametrize("kind", ["btree", "cdb", "dbm", "hash", "lmdb", "sdbm", "texthash"])
@pytest.mark.parametrize("proxy", ["", "proxy:"])
def test_an_operators_own_table_of_any_kind_that_says_something_else_is_named(shadowed, proxy, kind):
    assert shadowed(f"{proxy}{kind}:{{}}", [""])


@pytest.mark.parametrize("index", [".cdb", ".db", ".dir", ".lmdb"])
def test_a_table_of_which_only_the_index_is_there_is_asked_too(shadowed, index):
    assert shadowed("hash:{}", [index])


@pytest.mark.parametrize(("table", "files"), [("hash:{}", []), ("hash:{}", [".txt"]), ("ldap:{}", [""])])
def test_a_table_that_is_no_file_of_this_node_is_not_asked(shadowed, table, files):
    assert not shadowed(table, files)
