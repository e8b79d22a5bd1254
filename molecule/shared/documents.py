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


def must_equal(found, written, said=lambda row, column: ""):
    """``said`` tells what was heard about a cell, which a failure repeats where the cell is not as written."""
    old, new = (["".join(f"{cell:26}" for cell in row).rstrip() for row in rows] for rows in (written, found))
    difference = difflib.unified_diff(old, new, "as documented", "as measured", n=0, lineterm="")
    cells = (
        (row, column, *pair) for row, pairs in enumerate(zip(found, written)) for column, pair in enumerate(zip(*pairs))
    )
    wrong = [said(row, column) for row, column, now, then in cells if now != then]
    assert found == written, "\n".join(["", *difference, *wrong])
