# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates that OpenSSL reads and cryptography does not: on a curve that it has no name for."""

from __future__ import annotations

import subprocess
from typing import NamedTuple

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime239v1", "-nodes"]


class Strange(NamedTuple):
    key: str
    leaf: str
    root: str

    @property
    def chain(self):
        return self.leaf + self.root

    @property
    def chain_file(self):
        return (self.key + self.leaf).encode()


def make(folder, name="mx1.example.com"):
    """A root, and a leaf with its key."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    ca = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"]
    openssl("req", "-x509", *CURVE, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Strange root", *ca)
    leaf = ["-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=CA:FALSE"]
    openssl("req", "-new", *CURVE, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={name}", *leaf)
    signing = ["-CA", "root.pem", "-CAkey", "root.key", "-copy_extensions", "copyall", "-days", "60"]
    openssl("x509", "-req", "-in", "leaf.csr", *signing, "-out", "leaf.pem")
    return Strange(*((folder / name).read_text() for name in ("leaf.key", "leaf.pem", "root.pem")))


def public_key(pem):
    """Its SubjectPublicKeyInfo, as OpenSSL prints it."""
    argv = ["openssl", "pkey", "-pubout", "-outform", "DER"]
    return subprocess.run(argv, input=pem.encode(), check=True, capture_output=True).stdout
