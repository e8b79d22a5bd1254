# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of certificates share."""

import pytest
from mail import NODES
from on_node import sh
from pki import authority
from tasks import ansible, cert, results


@pytest.fixture(scope="session")
def outside():
    """A CA that the fleet does not know, and its intermediate."""
    root = authority("Outside Root")
    return root, authority("Outside Intermediate", root)


@pytest.fixture
def fleet():
    """Each test leaves the nodes with the fleet's own certificates and nothing else."""
    yield
    for node in NODES:
        sh(node, "postconf -X smtpd_client_restrictions smtp_tls_fingerprint_cert_match; postfix reload")
    done = ansible("nodes", "smtp_tls_cert", {"name": "fleet", "provider": "stored", "use": ["server", "client"]})
    assert done.returncode == 0, done.stdout
    for node in NODES:
        for name in sh(node, "ls /etc/postfix/smtp_hardening/certificates").split():
            if name == "fleet":
                continue
            gone = {"name": name, "state": "absent"}
            if "msg" in results(node, "smtp_tls_cert", gone)[node]:  # it is still served by host name
                cert(node, name=name, provider="stored", sni=[])
                cert(node, **gone)
