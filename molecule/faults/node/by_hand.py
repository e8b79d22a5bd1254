# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody else does to a node by hand, and what a module warns of."""

from conftest import sh
from pems import HOST, key, self_signed

CERTIFICATE = {"provider": "self_signed", "self_signed": {"key_type": "ecdsa"}, "use": ["server"]}
BANNER = {"parameters": {"smtpd_banner": "habits ESMTP"}}
SO_BEFORE = "It was so before"


def edit(*assignments, gone=()):
    """What somebody does by hand."""
    sh("postconf", "-e", *assignments)
    if gone:
        sh("postconf", "-X", *gone)
    sh("postfix", "reload")


def warned(result):
    """What a result warns of, as any version of ansible-core hands it over."""
    return [text["event"]["msg"] if isinstance(text, dict) else text for text in result.get("warnings", [])]


def own_certificate(folder, keys=1):
    """A certificate in a file of its own, and its key, or another one, in a second file."""
    made = [key() for _each in range(keys)]
    (folder / "own.pem").write_text(self_signed(folder, made[0], extensions=[f"subjectAltName=DNS:{HOST}"]))
    (folder / "own.key").write_text(made[-1])
    return folder / "own.pem", folder / "own.key"
