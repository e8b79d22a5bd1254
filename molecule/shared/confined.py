# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a unit's bounds a container of the lab cannot have: systemd needs CAP_SYS_ADMIN for it where a service has a user of
its own, and a container has none."""

IN_A_CONTAINER = """[Service]
DynamicUser=no
User=_mta-sts
LockPersonality=no
MemoryDenyWriteExecute=no
PrivateDevices=no
ProtectClock=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
ProtectKernelTunables=no
RestrictAddressFamilies=
RestrictNamespaces=no
RestrictRealtime=no
SystemCallArchitectures=
SystemCallFilter=
"""
