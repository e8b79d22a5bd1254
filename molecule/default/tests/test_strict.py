# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict node exchanges mail with agents of its fleet and with nobody else."""

from strict import *  # noqa: F403 - the tests themselves
