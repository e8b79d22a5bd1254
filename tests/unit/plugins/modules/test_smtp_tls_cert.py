# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import run


def test_a_certificate_of_the_ca_is_asked_for_in_a_first_call(node, fleet_ca):
    options = task("own_ca", {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}, use=["server"])
    foreseen = run("smtp_tls_cert", node, options, check_mode=True)
    assert (foreseen["changed"], "signing_request" in foreseen) == (True, False)
    assert not os.path.exists(node.store())
    result = run("smtp_tls_cert", node, options)
    assert result["changed"] is True
    assert sorted(result["signing_request"]) == ["csr", "names"]
    assert "smtpd_tls_chain_files" not in read_state(node.postfix).explicit
