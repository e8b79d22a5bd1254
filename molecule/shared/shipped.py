# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs on a node need of this machine, in one archive: the collection, and what Ansible would send along with a module."""

import io
import pathlib
import tarfile

import ansible
from lab import TOP

COLLECTION = "ansible_collections/mailfleet/smtp_hardening"


def archive(*more):
    """The archive, with more folders and files: each its path, and its name there."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("ansible/__init__.py"))
        tar.add(pathlib.Path(ansible.__file__).parent / "module_utils", "ansible/module_utils", filter=_source)
        tar.add(TOP / "plugins", f"{COLLECTION}/plugins", filter=_source)
        for path, name in more:
            tar.add(path, name, filter=_source)
    return packed.getvalue()


def _source(member):
    member.uid = member.gid = 0
    return None if "__pycache__" in member.name else member
