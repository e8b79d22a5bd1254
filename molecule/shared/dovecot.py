# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot on a node, which checks the passwords of those who log in there."""

import pathlib

from mail import wait_for
from on_node import sh
from tasks import relay

CONFIGURATIONS = pathlib.Path(__file__).parents[1] / "relay" / "node"


def serve(node, user, password):
    relay(node, relay_packages=["dovecot-core"])
    version = ".".join(sh(node, "dovecot --version").split(".")[:2])
    configuration = CONFIGURATIONS / f"dovecot-{max(version, '2.3')}.conf"
    sh(node, "cat > /etc/dovecot/dovecot.conf", configuration.read_text())
    sh(node, f"echo '{user}:{{PLAIN}}{password}' > /etc/dovecot/users && systemctl restart dovecot")
    wait_for(lambda: sh(node, "test -S /var/spool/postfix/private/auth && echo there || true"))


def stop(node):
    sh(node, "systemctl stop dovecot")
