# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the proof share: a node that serves certificates."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import chains_pem
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


def serve(node, *chains, hosts=()):
    """Let a node serve these chains under one name, and each of ``hosts`` with a chain of its own."""
    path = write(node.store("certificates", "served", "1.pem"), chains_pem(chains))
    node.write(f"smtpd_tls_chain_files = {path}\n")
    rows = "".join(
        f"{host}\t{write(node.store('certificates', f'c{number}', '1.pem'), chain.to_pem())}\n"
        for number, (host, chain) in enumerate(hosts)
    )
    if rows:
        table = write(node.store("sni", "1", "table"), f"# Made by\n{rows}")
        node.append(f"tls_server_sni_maps = hash:{table}\n")
