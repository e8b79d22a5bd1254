# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on a node, over SSH connections that are kept."""

import json
import subprocess

import explain
from fleet_lab import FLEET


def start(node, command, **options):
    """A command under way."""
    explain.used(node)
    return subprocess.Popen(FLEET.ssh(node, command), **options)


def sh(node, command, stdin=None, check=True):
    """A command's output."""
    explain.used(node)
    argv = FLEET.ssh(node, command)
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=120)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_program(node, source, request):
    """What a program of Python prints whose argument is a file with this request in JSON: one word of a command would hold no
    more than 128 KiB (execve(2))."""
    place = "/run/request.json"
    sh(node, f"cat > {place}", json.dumps(request))
    return sh(node, f"python3 - {place}", source)


def begin_anew(node, kept="/root/prepared"):
    """Put a configuration back; without another, that which every scenario may begin with."""
    sh(node, f"rsync --archive --delete {kept}/ /etc/postfix/ && systemctl restart postfix")
