# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of transactions share: a change of everything that one can be about, and what is compared afterwards."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import NewFile, Plan
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture

TLSPROXY = "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy"


def plan(node, number=1, **over):
    files = (
        NewFile(node.store(f"domains/{number}/transport"), b"partner.example\tsmtp:[mx]\n", table=True),
        NewFile(node.store(f"certificates/default/{number}.pem"), b"key", 0o600),
    )
    return Plan(**{"set": {"smtpd_tls_security_level": "may"}, "files": files, **over})


def refuse(*_seen):
    raise ProofFailed("The wire shows something else.")


def everything(node):
    return picture(node.config_dir, node.queue_dir)


def patched(node, answer):
    """A Postfix for which ``answer(argv)`` wins where it is not ``None``."""
    return Postfix(lambda argv, stdin=None: answer(argv) or node.run(argv, stdin), node.config_dir)
