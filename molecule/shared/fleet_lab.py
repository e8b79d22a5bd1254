# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the scenarios: three Postfix nodes."""

from lab import TOP, Lab

FLEET = Lab(TOP / "molecule" / "inventory")
