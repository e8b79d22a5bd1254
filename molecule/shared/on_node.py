# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on a node, over the same SSH that Ansible uses."""

import subprocess

from mail import NODES
from tasks import LAB


def argv(node, command):
    known = f'UserKnownHostsFile="{LAB / "known_hosts"}"'
    return ["ssh", "-q", "-i", str(LAB / "id_ed25519"), "-o", known, f"root@{NODES[node]}", command]


def start(node, command, **options):
    """A command under way."""
    return subprocess.Popen(argv(node, command), **options)


def sh(node, command, stdin=None, check=True):
    """A command's output."""
    done = subprocess.run(argv(node, command), input=stdin, capture_output=True, text=True, check=False, timeout=120)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def begin_anew(node, kept="/root/prepared"):
    """Put a configuration back; without another, that which every scenario may begin with."""
    sh(node, f"rsync --archive --delete {kept}/ /etc/postfix/ && systemctl restart postfix")
