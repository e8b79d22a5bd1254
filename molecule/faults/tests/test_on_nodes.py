# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the tests in ../node on the nodes themselves, on all three at once, each with tests of its own.

There they start modules without a controller, under strace, hundreds of times.
"""

import io
import os
import pathlib
import re
import subprocess
import tarfile

import ansible
import pytest
from on_node import start

TOP = pathlib.Path(__file__).parents[3]
COLLECTION = "ansible_collections/mailfleet/smtp_hardening"
SUITES = {
    "node1": ["test_interrupted.py"],
    "node2": ["test_traps.py", "test_protection.py", "test_rollback.py", "test_instances.py", "test_properties.py"],
    "node3": ["test_situations.py", "test_live_listener.py", "test_bad_inputs.py"],
}
STRIDE = os.environ.get("FAULT_STRIDE", "37")
"""A sample by default; make faults tries every point, which takes hours."""

testinfra_hosts = ["local://"]


def archive():
    """The collection, what Ansible would send along with a module, and the tests."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("ansible/__init__.py"))
        tar.add(pathlib.Path(ansible.__file__).parent / "module_utils", "ansible/module_utils", filter=_source)
        tar.add(TOP / "plugins", f"{COLLECTION}/plugins", filter=_source)
        tar.add(TOP / "molecule" / "faults" / "node", ".", filter=_source)
    return packed.getvalue()


def _source(member):
    member.uid = member.gid = 0
    return None if "__pycache__" in member.name else member


@pytest.fixture(scope="module")
def running():
    """The tests of every node, under way."""
    packed = archive()
    started = {}
    for node, files in SUITES.items():
        unpacked = start(node, "rm -rf /root/lab && mkdir /root/lab && tar x -C /root/lab", stdin=subprocess.PIPE)
        unpacked.communicate(packed)
        assert unpacked.returncode == 0
        command = (
            f"cd /root/lab && STRIDE={STRIDE} timeout 14000 python3 -B -m pytest -p no:cacheprovider -sv --durations=5 "
        )
        started[node] = start(
            node, command + " ".join(files), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    yield started
    for process in started.values():
        process.kill()


@pytest.mark.parametrize("node", SUITES)
def test_what_a_node_goes_through_leaves_old_or_new(running, node, capsys):
    output, _nothing = running[node].communicate()
    with capsys.disabled():
        print("", *re.findall(r".*(?: points, | tried, | refused$| passed in ).*", output, re.M), sep="\n")
    assert running[node].returncode == 0, output[-8000:]
