# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates made by OpenSSL, good and bad."""

import os
import subprocess

HOST = subprocess.run(["postconf", "-h", "myhostname"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def openssl(*words, when="now"):
    return subprocess.run(
        ["faketime", when, "openssl", *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def key(kind="ec"):
    options = {
        "ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "rsa1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    }
    return openssl("genpkey", "-algorithm", *options[kind])


def self_signed(folder, private, name=HOST, days="30", extensions=()):
    """A certificate that its own key signed."""
    path = os.path.join(folder, "key.pem")
    with open(path, "w") as handle:
        handle.write(private)
    added = [word for line in extensions for word in ("-addext", line)]
    return openssl("req", "-x509", "-new", "-key", path, "-subj", f"/CN={name}", "-days", days, *added)


class Authority:
    """A CA in a folder."""

    def __init__(self, folder):
        self.folder, self.key = str(folder), key()
        self.certificate = self_signed(self.folder, self.key, "Test CA", extensions=["keyUsage=critical,keyCertSign"])
        for name, content in (("ca.key", self.key), ("ca.pem", self.certificate)):
            with open(os.path.join(self.folder, name), "w") as handle:
                handle.write(content)

    @property
    def path(self):
        return os.path.join(self.folder, "ca.pem")

    def issue(self, private, names=(f"DNS:{HOST}",), usage="serverAuth,clientAuth", subject=HOST, when="now"):
        """A certificate of this CA; without names it has a common name only."""
        paths = {name: os.path.join(self.folder, name) for name in ("leaf.key", "leaf.csr", "leaf.ext")}
        lines = [f"subjectAltName={','.join(names)}"] if names else []
        lines += [f"extendedKeyUsage={usage}"] if usage else []
        with open(paths["leaf.key"], "w") as handle:
            handle.write(private)
        with open(paths["leaf.ext"], "w") as handle:
            handle.write("\n".join(lines) + "\n")
        openssl("req", "-new", "-key", paths["leaf.key"], "-subj", f"/CN={subject}", "-out", paths["leaf.csr"])
        ca = ["-CA", self.path, "-CAkey", os.path.join(self.folder, "ca.key"), "-CAcreateserial"]
        words = ["-days", "30", "-extfile", paths["leaf.ext"]]
        return openssl("x509", "-req", "-in", paths["leaf.csr"], *ca, *words, when=when)
