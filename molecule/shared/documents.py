# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of docs/, which tests measure anew."""

import difflib
import re


def read_table(document, corner):
    """The rows of the table with this word in its corner."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", document.read_text(), re.MULTILINE)
    tables = [[_cells(row) for row in block.splitlines() if not re.match(r"[-| ]+$", row)] for block in blocks]
    return next(table for table in tables if table[0][0] == corner)


def _cells(row):
    return [cell.strip() for cell in row[1:-1].split("|")]


def must_equal(found, written):
    old, new = (["".join(f"{cell:26}" for cell in row).rstrip() for row in rows] for rows in (written, found))
    difference = difflib.unified_diff(old, new, "as documented", "as measured", n=0, lineterm="")
    assert found == written, "\n".join(["", *difference])
