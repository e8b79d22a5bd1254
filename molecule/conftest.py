# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all scenarios."""

import datetime

import on_node
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mail import NODES
from pki import authority
from tasks import ansible, cert, results


@pytest.fixture
def node(host):
    """The node's name in the inventory."""
    return host.backend.host


@pytest.fixture(scope="session")
def strangers(tmp_path_factory):
    """Client certificates that no fleet knows: (certificate, key) of another CA, and self-signed."""
    folder = tmp_path_factory.mktemp("strangers")
    issued = trustme.CA().issue_cert("node1.fleet.test")
    issued.cert_chain_pems[0].write_to_path(folder / "other-ca.pem")
    issued.private_key_pem.write_to_path(folder / "other-ca.key")
    _self_signed(folder / "self-signed.pem", folder / "self-signed.key")
    return {name: (str(folder / f"{name}.pem"), str(folder / f"{name}.key")) for name in ("other-ca", "self-signed")}


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
        on_node.sh(node, "postconf -X smtpd_client_restrictions smtp_tls_fingerprint_cert_match; postfix reload")
    done = ansible("nodes", "smtp_tls_cert", {"name": "fleet", "provider": "stored", "use": ["server", "client"]})
    assert done.returncode == 0, done.stdout
    for node in NODES:
        for name in on_node.sh(node, "ls /etc/postfix/smtp_hardening/certificates").split():
            if name == "fleet":
                continue
            gone = {"name": name, "state": "absent"}
            if "msg" in results(node, "smtp_tls_cert", gone)[node]:  # it is still served by host name
                cert(node, name=name, provider="stored", sni=[])
                cert(node, **gone)


def _self_signed(certificate_path, key_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node1.fleet.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    certificate_path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
