# SPDX-License-Identifier: GPL-3.0-or-later
"""A failure explains itself: what the nodes that a test has used say about themselves, and what modules returned to it."""

import collections
import json
import pathlib
import subprocess
import sys

from fleet_lab import FLEET

ASK = (pathlib.Path(__file__).parent / "explain.sh").read_text()
MOST = 6000
"""Characters of what one module returned."""

_file = None
_used = set()
_used_before = set()
_returned = collections.deque(maxlen=3)


def begin(file):
    """Another test begins; what others of its file have used, fixtures of theirs among them, may be its own as well."""
    global _file  # noqa: PLW0603  # tests run one at a time
    if file != _file:
        _file = file
        _used_before.clear()
    else:
        _used_before.update(_used)
    _used.clear()
    _returned.clear()


def used(node):
    """A node, or a group of them."""
    _used.update([node] if node in FLEET.nodes else FLEET.nodes)


def returned(node, module, result):
    """Keep what a module, or a playbook, has returned."""
    _returned.append((node, module, result))


def sections():
    """(title, text) of all that may explain a failure: of the nodes that the test used, or that its fixtures have."""
    for node, module, result in _returned:
        text = result if isinstance(result, str) else json.dumps(result, indent=1, ensure_ascii=False)
        yield f"{module} on {node} returned", text[-MOST:]
    for node in sorted(_used or _used_before):
        yield f"{node} says", ask(node)


def ask(node):
    try:
        argv = FLEET.ssh(node, ASK)
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return "nothing within 30 seconds"
    return done.stdout + done.stderr or "nothing: it cannot be reached"


if __name__ == "__main__":  # where no test has failed, but the play before the tests
    for name in sys.argv[1:] or FLEET.nodes:
        print(f"==> {name} says", ask(name), sep="\n")
