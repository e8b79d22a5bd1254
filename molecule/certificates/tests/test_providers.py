# SPDX-License-Identifier: GPL-3.0-or-later
"""Wherever a certificate comes from, clients that others wrote see what the task returned."""

import json
import re
import subprocess

import pytest
from cryptography import x509
from mail import NODES, fqdn
from on_node import sh
from pki import Identity, certify, ec_key
from seen import certificate_seen, seen_by_openssl
from sources import (
    FLEET_CA,
    archive,
    own_ca,
    own_ca_both,
    own_ca_with_passphrase,
    pem_in_any_order,
    pem_on_the_node,
    self_signed,
    self_signed_both,
)
from tasks import LAB, cert, results

testinfra_hosts = ["local://"]
pytestmark = [pytest.mark.usefixtures("fleet"), pytest.mark.sampled("providers")]
NAME = fqdn("node1")


PROVIDERS = [
    self_signed,
    self_signed_both,
    own_ca,
    own_ca_both,
    own_ca_with_passphrase,
    pem_in_any_order,
    pem_on_the_node,
    archive,
]


@pytest.mark.sampled
@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda make: make.__name__)
def test_clients_see_the_certificates_that_the_task_returned(provider, outside, tmp_path):
    options = {"name": "trial", "use": ["server"], **provider(outside, tmp_path)}
    words = options.pop("words", [])
    before = certificate_seen("node1")
    promised = cert("node1", "--check", *words, **options)
    assert promised["changed"] and certificate_seen("node1") == before
    made = cert("node1", *words, **options)
    assert made["changed"] and made["active"] == {"server": True, "client": False}
    assert not cert("node1", *words, **options)["changed"]
    for found in made["certificates"]:
        seen = certificate_seen("node1", found["key_type"])
        assert seen == found["certificate_sha256"]
        assert verifies(found["chain"], tmp_path)
    # Of two certificates sslyze looks for the second in TLS 1.2, which agents do not speak.
    assert seen_by_sslyze("node1", tmp_path) <= {found["certificate_sha256"] for found in made["certificates"]}
    said = finger("node1")
    assert re.search(f"pkey.fingerprint={made['certificate']['public_key_sha256']}", said)
    assert f"fingerprint={made['certificate']['certificate_sha256']}" in said
    digest = made["certificate"]["public_key_sha256"].replace(":", "")
    assert made["certificate"]["tlsa"][0] == f"3 1 1 {digest}"


def test_a_request_is_signed_elsewhere_and_the_same_task_completes_it(outside):
    _root, intermediate = outside
    task = {"name": "public", "provider": "csr", "use": ["server"], "csr": {"names": [NAME, "mx.fleet.test"]}}
    promised = cert("node1", "--check", **task)
    assert promised["changed"] and promised["next"] is None and promised["awaits"] == "signature"
    assert sh("node1", "ls /etc/postfix/smtp_hardening/certificates").split() == ["fleet"]
    first = cert("node1", **task)
    assert first["changed"] and first["awaits"] == "signature" and not first["active"]["server"]
    again = cert("node1", **task)
    assert not again["changed"] and again["next"] == first["next"]
    request = x509.load_pem_x509_csr(first["next"]["csr"].encode())
    signed = certify(NAME, Identity(intermediate.key, None).key, intermediate, [NAME, "mx.fleet.test"])
    wrong = cert_sentence(task, signed.pem + intermediate.pem)
    assert "does not match" in wrong
    leaf = sign(request, intermediate)
    task["csr"] = {**task["csr"], "certificate": leaf + "".join(found.pem for found in outside)}
    done = cert("node1", **task)
    assert done["active"]["server"] and done["awaits"] is None
    assert certificate_seen("node1") == done["certificate"]["certificate_sha256"]
    assert not cert("node1", **task)["changed"]
    renewal = cert("node1", **task, renew_before=400)
    assert renewal["awaits"] == "signature" and renewal["next"]["csr"] != first["next"]["csr"]
    assert certificate_seen("node1") == done["certificate"]["certificate_sha256"], "the old one stays meanwhile"


def test_host_names_have_certificates_of_their_own(outside):
    _root, intermediate = outside
    shown = {}
    for name in ("customer", "partner"):
        host = f"mail.{name}.test"
        leaf = certify(host, ec_key(), intermediate, [host])
        pem = {"private_key": leaf.key_pem, "certificate": leaf.pem + intermediate.pem}
        options = {"name": name, "provider": "pem", "pem": pem, "sni": [host], "accept": ["incomplete_chain"]}
        made = cert("node1", **options)
        assert made["sni"] == [host] and made["active"] == {"server": False, "client": False}
        assert not cert("node1", **options)["changed"]
        shown[host] = leaf.sha256
    for host, expected in shown.items():
        assert seen_by_openssl("node1", "-servername", host) == expected
    own = results("node1", "smtp_tls_info", {})["node1"]
    assert seen_by_openssl("node1", "-noservername") == own["active"]["server"][0]["certificate_sha256"]
    assert own["sni"] == {"mail.customer.test": "customer", "mail.partner.test": "partner"}
    leaf = certify("mail.partner.test", ec_key(), intermediate, ["mail.partner.test"])
    pem = {"private_key": leaf.key_pem, "certificate": leaf.pem + intermediate.pem}
    cert("node1", name="partner", provider="pem", pem=pem, accept=["incomplete_chain"])
    assert seen_by_openssl("node1", "-servername", "mail.partner.test") == leaf.sha256, "the table was made anew"
    assert seen_by_openssl("node1", "-servername", "mail.customer.test") == shown["mail.customer.test"]


def test_a_cluster_shows_one_certificate_or_each_node_its_own(outside):
    _root, intermediate = outside
    leaf = certify("mail.fleet.test", ec_key(), intermediate, ["mail.fleet.test"])
    pem = {"private_key": leaf.key_pem, "certificate": leaf.pem + intermediate.pem}
    accept = ["other_host", "incomplete_chain"]
    options = {"name": "cluster", "provider": "pem", "pem": pem, "use": ["server"], "accept": accept}
    results("nodes", "smtp_tls_cert", options)
    assert fingerprints() == {leaf.sha256}
    results("nodes", "smtp_tls_cert", {"name": "fleet", "provider": "stored", "use": ["server"]})
    assert len(fingerprints()) == 3


def test_a_new_key_is_served_only_after_its_record_is_announced():
    published = results("node1", "smtp_tls_info", {})["node1"]["active"]["server"][0]["tlsa"][:1]
    task = {"name": "fleet", "provider": "own_ca", "own_ca": FLEET_CA, "renew_before": 89}
    waits = cert("node1", **task, published_tlsa=published)
    if waits["awaits"] is None:  # made less than a day ago: 89 days and some hours are left
        waits = cert("node1", **task, published_tlsa=published, renew_now=True)
    assert waits["awaits"] == "announcement" and waits["changed"]
    assert finger_tlsa("node1") == published[0]
    announced = waits["next"]["tlsa"]
    kept = cert("node1", **task, published_tlsa=published, renew_now=True)
    assert kept["next"]["tlsa"] == announced and not kept["changed"]
    done = cert("node1", **task, published_tlsa=[*published, *announced], renew_now=True)
    assert done["awaits"] is None and finger_tlsa("node1") == announced[0]
    assert done["certificate"]["tlsa"] == announced


def test_a_pinned_key_gets_mail_in_and_another_does_not():
    keys = {
        node: found["active"]["client"][0]["public_key_sha256"]
        for node, found in results("nodes", "smtp_tls_info", {}).items()
    }
    pins = [keys["node2"], "00:" * 31 + "00"]
    cert("node1", name="fleet", provider="stored", trust={"pins": pins})
    assert rcpt("node2").startswith("250 ")
    assert rcpt("node3").startswith("554 5.7.1")
    cert("node1", name="fleet", provider="stored", trust={"pins": []})
    assert rcpt("node3").startswith("250 ")


# What clients see.


def verifies(chain, folder):
    """Whether OpenSSL finds the chain complete: root and intermediates as it was sent, or known to the fleet."""
    parts = re.findall("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", chain, re.DOTALL)
    (folder / "leaf.pem").write_text(parts[0])
    (folder / "rest.pem").write_text("".join(parts[1:]) or parts[0])
    roots = parts[-1] + (LAB / "fleet-ca.pem").read_text()
    roots += (folder / "ca.pem").read_text() if (folder / "ca.pem").exists() else ""
    (folder / "roots.pem").write_text(roots)
    argv = ["openssl", "verify", "-CAfile", "roots.pem", "-untrusted", "rest.pem", "-verify_hostname", NAME, "leaf.pem"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return True


def seen_by_sslyze(node, folder):
    report = folder / "sslyze.json"
    argv = ["sslyze", "--starttls=smtp", "--certinfo", f"--json_out={report}", f"--sni={fqdn(node)}"]
    argv += ["--mozilla_config=disable", "--quiet", f"{NODES[node]}:25"]
    subprocess.run(argv, capture_output=True, check=False, timeout=120)
    found = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]["certificate_info"]["result"]
    leaves = [deployment["received_certificate_chain"][0] for deployment in found["certificate_deployments"]]
    assert leaves
    return {Identity(None, x509.load_pem_x509_certificate(leaf["as_pem"].encode())).sha256 for leaf in leaves}


def finger(node):
    """What Postfix's own client says, from a neighbour and with that neighbour's certificate."""
    return sh(
        "node2",
        "chain=$(postconf -hx smtp_tls_chain_files); posttls-finger -c -C -d sha256 -l may -k $chain -K $chain "
        f"'[{NODES[node]}]' 2>&1",
        check=False,
    )


def finger_tlsa(node):
    found = re.search(r"pkey.fingerprint=([0-9A-F:]+)", finger(node))
    return f"3 1 1 {found[1].replace(':', '')}"


def fingerprints():
    seen = {seen_by_openssl(node) for node in NODES}
    told = results("nodes", "smtp_tls_info", {}).values()
    assert seen == {found["active"]["server"][0]["certificate_sha256"] for found in told}
    return seen


RCPT = f"""
import smtplib, ssl, subprocess
chain = subprocess.check_output(["postconf", "-hx", "smtp_tls_chain_files"], text=True).strip()
context = ssl._create_unverified_context()
context.load_cert_chain(chain)
with smtplib.SMTP("{NODES["node1"]}", 25, timeout=20) as smtp:
    smtp.starttls(context=context)
    smtp.ehlo()
    smtp.mail("somebody@elsewhere.test")
    code, text = smtp.rcpt("probe@node1.fleet.test")
    print(code, text.decode())
"""


def rcpt(node):
    """What node1 says to a recipient that a neighbour names, who shows its own certificate."""
    return sh(node, "python3 -", RCPT)


def cert_sentence(task, certificate):
    options = {**task, "csr": {**task["csr"], "certificate": certificate}}
    return results("node1", "smtp_tls_cert", options)["node1"]["msg"]


def sign(request, issuer):
    """What a CA that others run makes of the request: the certificate in PEM."""
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    leaf = certify(NAME, PublicKey(request.public_key()), issuer, names.get_values_for_type(x509.DNSName), end=90)
    return leaf.pem


class PublicKey:
    """Stands for a private key that somebody else has."""

    def __init__(self, public):
        self.public = public

    def public_key(self):
        return self.public
