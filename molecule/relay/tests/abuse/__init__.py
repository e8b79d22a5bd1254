# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean harm get nothing in that a client must not get in, and nothing out; another is served meanwhile.

They come from outside the relay's networks. What the relay answers is asserted on the wire, what it keeps on its disk.
The witnesses of both begin once for all tests of this folder.
"""
