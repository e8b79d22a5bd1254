# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for get-pip.py where its origin is out of reach: Python's own ensurepip, then pip."""

import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True)
# Options of get-pip.py alone, which pip does not know.
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.run([sys.executable, "-m", "pip", "install", *wanted], check=True)  # noqa: S603 -- whoever calls it could call pip
