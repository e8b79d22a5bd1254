# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of all scenarios."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import chosen
import explain
import on_node
import pytest
import sampled
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mail import NODES
from pki import authority

CONVERGED = "/root/converged"


pytest_collection_modifyitems = chosen.leave_out_others


def pytest_configure(config):
    config.pluginmanager.register(sampled)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    explain.begin(item.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Beneath the failure of a test stands what may explain it; "Captured stdout" takes it into the JUnit report, too."""
    report = yield
    if report.failed:
        if "host" in item.fixturenames and "host" in item.funcargs:
            explain.used(item.funcargs["host"].backend.hostname)
        report.sections += [(f"Captured stdout: {title}", text) for title, text in explain.sections()]
    return report


@pytest.fixture
def node(host):
    """The node's name in the inventory."""
    return host.backend.hostname


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


@pytest.fixture(scope="session")
def converged():
    """What the scenario has made of the nodes, kept to be put back."""
    for node in NODES:
        on_node.sh(node, f"rsync --archive --delete /etc/postfix/ {CONVERGED}")


@pytest.fixture
def fleet(converged):
    """Each test leaves the nodes as the scenario has made them: with the fleet's own certificates and nothing else."""
    yield
    with ThreadPoolExecutor() as pool:
        list(pool.map(_put_back, NODES))


def _put_back(node):
    units = "/etc/systemd/system/smtp-hardening-*.path"
    on_node.sh(
        node,
        f"for path in $(ls {units}); do name=$(basename $path .path); systemctl disable --now $name.path $name.service; "
        "rm -f ${path%.path}.*; systemctl daemon-reload; systemctl reset-failed $name.service; done 2>/dev/null; "
        "rm -f /etc/letsencrypt/renewal-hooks/deploy/smtp-hardening-*",
    )
    on_node.begin_anew(node, CONVERGED)


def _self_signed(certificate_path, key_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node1.fleet.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    certificate_path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
