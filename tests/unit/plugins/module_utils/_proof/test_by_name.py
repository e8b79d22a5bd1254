# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from base64 import b64encode

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import chains_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.by_name import shown_by_default, shown_for
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


def serve(node, *chains, maps=""):
    path = write(node.store("certificates", "served", "1.pem"), chains_pem(chains))
    node.write(f"smtpd_tls_chain_files = {path}\ntls_server_sni_maps = {maps}\n")


def table(node, name, **rows):
    """An index that somebody has built with C(postmap -F)."""
    path = write(node.path(name), "")
    write(f"{path}.db", "indexed")
    node.tables[path] = {key: b64encode(chains_pem(chains)).decode() for key, chains in rows.items()}
    return f"hash:{path}"


def prints(*chains):
    return {certificate_fingerprint(chain.leaf) for chain in chains}


@pytest.mark.parametrize(
    ("host", "found"),
    [("mx1.example.com", 1), ("MX1.example.com", 1), ("a.example.com", 2), ("a.b.example.com", 2), ("mx.test", 0)],
)
def test_a_name_has_the_certificate_of_the_first_key_and_the_first_table_that_know_it(node, issue, host, found):
    chains = issue(), issue(), issue()
    rows = {"mx1.example.com": (chains[1],)}, {".example.com": (chains[2],), "mx1.example.com": (chains[0],)}
    serve(node, chains[0], maps=f"{table(node, 'one', **rows[0])}, {table(node, 'two', **rows[1])}")
    assert shown_for(node.postfix, node.state, host).fingerprints == prints(chains[found])


@pytest.mark.parametrize(
    ("kinds", "apart"),
    [
        ([("ecdsa", 256)], ()),
        ([("rsa", 2048)], ()),
        ([("ecdsa", 256), ("ecdsa", 384)], ()),
        ([("ecdsa", 256), ("rsa", 2048)], ("ecdsa", "rsa")),
        ([("rsa", 2048), ("ecdsa", 384)], ("ecdsa", "rsa")),
    ],
)
@pytest.mark.parametrize("by", ["default", "name"])
def test_types_of_key_are_told_apart_where_there_are_two(node, issue, *, kinds, apart, by):
    chains = [issue(kind=kind) for kind in kinds]
    serve(node, *([issue()] if by == "name" else chains), maps=table(node, "names", **{"mx.test": chains}))
    shown = shown_for(node.postfix, node.state, "mx.test") if by == "name" else shown_by_default(node.state)
    assert (shown.key_types, shown.fingerprints) == (apart, prints(*chains))


def test_a_table_that_holds_no_certificate_is_named(node, issue):
    maps = table(node, "names")
    node.tables[node.path("names")] = {"mx.test": "/etc/ssl/mx.pem"}
    serve(node, issue(), maps=maps)
    with pytest.raises(CertificateError, match=f"^tls_server_sni_maps: {maps} holds what is no certificate; "):
        shown_for(node.postfix, node.state, "mx.test")
