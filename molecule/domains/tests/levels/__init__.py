# SPDX-License-Identifier: GPL-3.0-or-later
"""What node1 does with each of the peers: they, and its records, are set up once for these tests."""
