# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds of CPU that the nodes of a lab have spent since their start, as one number: spent.py"""

import os
import subprocess
import sys

from lab import TOP, Lab

TICKS = os.sysconf("SC_CLK_TCK")


def seconds(text: str) -> float:
    """Of all processes of a node, and of those that they have waited for: four fields behind the name (proc(5), stat)."""
    rows = (line.rpartition(") ")[2].split() for line in text.splitlines())
    return sum(int(number) for row in rows for number in row[11:15]) / TICKS


def main() -> None:
    lab = Lab(TOP / "molecule" / "inventory")
    spent = 0.0
    for node in lab.nodes:
        done = subprocess.run(
            lab.ssh(node, "cat /proc/[0-9]*/stat || true"), capture_output=True, text=True, check=False
        )
        spent += seconds(done.stdout)
    sys.stdout.write(f"{spent:.0f}\n")


if __name__ == "__main__":
    main()
