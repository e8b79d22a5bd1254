# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for get-pip.py where its origin is out of reach: Python's own ensurepip, then pip."""

import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True)
if sys.argv[1:]:
    subprocess.run([sys.executable, "-m", "pip", "install", *sys.argv[1:]], check=True)
