# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that some peer refuses, or all do, beneath a root that everybody trusts: the leaf first, the root left out."""

import pathlib
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from pki import CLIENT, Identity, authority, certify, ec_key, rsa_key

CRL_ALONE = x509.KeyUsage(False, False, False, False, False, False, True, False, False)
EMAIL_ALONE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
UNHEARD_OF = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
ELSEWHERE = [x509.DNSName("elsewhere.test")]


def beneath(*above, name, **leaf):
    """A leaf of the last of these CAs, and they from there up."""
    made = certify(name, leaf.pop("key", None) or ec_key(), above[-1], **{"names": [name], **leaf})
    return [made, *reversed(above)]


def through(root, name, **flaws):
    return beneath(authority("Middle", root, **flaws), name=name)


def alone(root, name, **flaws):
    return beneath(root, name=name, **flaws)[:1]


def too_deep(root, name):
    upper = authority("Upper", root, path_length=0)
    return beneath(upper, authority("Lower", upper), name=name)


def by_no_ca(root, name):
    return beneath(certify("Host", ec_key(), root, ["host.test"]), name=name)


def cut_off(root, name):
    return through(root, name)[:1]


def signed_with_sha1(subject, issuer, extension):
    """cryptography signs nothing with SHA-1 any more; OpenSSL does."""
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        (here / "ca.pem").write_text(issuer.pem)
        (here / "ca.key").write_text(issuer.key_pem)
        made = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "made.key", "-subj", f"/CN={subject}"]
        made += ["-addext", extension, "-out", "made.csr"]
        signed = ["x509", "-req", "-sha1", "-in", "made.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30"]
        for words in (made, [*signed, "-copy_extensions", "copyall", "-out", "made.pem"]):
            subprocess.run(["openssl", *words], cwd=here, check=True, capture_output=True)
        key = serialization.load_pem_private_key((here / "made.key").read_bytes(), None)
        return Identity(key, x509.load_pem_x509_certificate((here / "made.pem").read_bytes()))


CHAINS = {
    "an intermediate of RSA 1024": (
        lambda root, name: through(root, name, key=rsa_key(1024)),
        "weak_key",
        r"has an intermediate, CN=Middle, that has an RSA key of 1024 bits, fewer than 2048 "
        r"\(OpenSSL: CA certificate key too weak, CN ?= ?Middle\)",
    ),
    "an intermediate that is signed with SHA-1": (
        lambda root, name: beneath(signed_with_sha1("Middle", root, "basicConstraints=CA:TRUE"), name=name),
        "weak_signature",
        r"has an intermediate, CN=Middle, that is signed with SHA1 \(OpenSSL: CA signature digest algorithm too weak, CN",
    ),
    "an intermediate that may sign CRLs alone": (
        lambda root, name: through(root, name, extensions=[(CRL_ALONE, True)]),
        "wrong_usage",
        "is issued by CN=Middle, which may not sign certificates by its key usage",
    ),
    "an intermediate beyond a path length": (
        too_deep,
        "beyond_constraints",
        r"refused by OpenSSL \(path length constraint exceeded, CN ?= ?Upper\)",
    ),
    "an intermediate that has expired": (
        lambda root, name: through(root, name, begin=-9, end=-1),
        "expired",
        r"has an intermediate, CN=Middle, that expired on [\d-]+ \(OpenSSL: certificate has expired, CN ?= ?Middle\)",
    ),
    "an intermediate of tomorrow": (
        lambda root, name: through(root, name, begin=1),
        "not_yet_valid",
        r"has an intermediate, CN=Middle, that is not valid before [\d-]+ \(OpenSSL: certificate is not yet valid",
    ),
    "an intermediate for mail's own signatures": (
        lambda root, name: through(root, name, extensions=[(EMAIL_ALONE, False)]),
        "wrong_usage",
        r"refused by OpenSSL \(uns\w+ certificate purpose, CN ?= ?Middle\)",
    ),
    "an intermediate for names elsewhere": (
        lambda root, name: through(root, name, extensions=[(x509.NameConstraints(ELSEWHERE, None), True)]),
        "beyond_constraints",
        r"refused by OpenSSL \(permitted subtree violation\)",
    ),
    "an intermediate for all names but these": (
        lambda root, name: through(
            root, name, extensions=[(x509.NameConstraints(None, [x509.DNSName(name.partition(".")[2])]), True)]
        ),
        "beyond_constraints",
        r"refused by OpenSSL \(excluded subtree violation\)",
    ),
    "an issuer that is no CA": (
        by_no_ca,
        "wrong_usage",
        r"is issued by CN=Host, which is not a CA's certificate \(OpenSSL: invalid CA certificate, CN ?= ?Host",
    ),
    "an extension that nobody knows": (
        lambda root, name: alone(root, name, extensions=[(UNHEARD_OF, True)]),
        "refused_by_openssl",
        r"refused by OpenSSL \(unhandled critical extension\)",
    ),
    "a missing intermediate": (
        cut_off,
        "incomplete_chain",
        r"lacks an intermediate: CN=Middle is .+ \(OpenSSL: unable to get local issuer certificate\)",
    ),
    "another host": (
        lambda root, name: alone(root, name, names=["mx.elsewhere.test"]),
        "other_host",
        r"names mx.elsewhere.test and not \S+ \(OpenSSL: [Hh]ostname mismatch\)",
    ),
    "a leaf of RSA 1024": (
        lambda root, name: alone(root, name, key=rsa_key(1024)),
        "weak_key",
        r"has an RSA key of 1024 bits, fewer than 2048 \(OpenSSL: EE certificate key too weak\)",
    ),
    "a leaf that has expired": (
        lambda root, name: alone(root, name, begin=-9, end=-1),
        "expired",
        r"expired on [\d-]+ \(OpenSSL: certificate has expired\)",
    ),
    "a leaf for clients alone": (
        lambda root, name: alone(root, name, usages=[CLIENT]),
        "wrong_usage",
        r"is not allowed as a server certificate by its extended key usage \(OpenSSL: uns\w+ certificate purpose\)",
    ),
}
"""Each with the kind of flaw that it has, and what is said of it."""
