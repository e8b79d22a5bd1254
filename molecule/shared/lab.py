# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that tests and benchmarks work with: its state, the addresses of its nodes, and the way to them.

Several labs run side by side, each under a name of its own (LAB=name). molecule/default/create.yml makes them; podman
chooses the network of each, and the inventory gives each node its number in it.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import TypedDict

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]


class Lab:
    """One lab, as its inventory describes it."""

    def __init__(self, inventory: pathlib.Path, kind: str = "") -> None:
        self.inventory = inventory
        self.name = (os.environ.get("LAB") or "lab") + kind
        self.state = TOP / ".cache" / "labs" / self.name
        hosts = dict(_hosts(yaml.safe_load((inventory / "hosts.yml").read_text())["all"]))
        self.nodes = {name: self.address(number) for name, number in hosts.items()}
        """The address of each node."""

    @property
    def network(self) -> str:
        """A /24."""
        try:
            return (self.state / "network").read_text().strip()
        except FileNotFoundError:
            raise SystemExit(f"There is no lab {self.name}; bring one up: make lab LAB={self.name}") from None

    def address(self, number: int) -> str:
        """The address with this number in the lab's network."""
        return f"{self.network.rpartition('.')[0]}.{number}"

    def ssh(self, node: str, *command: str) -> list[str]:
        """The words that run a command on a node, over a connection that is kept for the next one."""
        return ["ssh", "-q", "-F", str(self.state / "ssh_config"), node, *command]


class Group(TypedDict, total=False):
    """One of an inventory in YAML."""

    hosts: dict[str, dict[str, int]] | None
    children: dict[str, Group] | None


def _hosts(group: Group) -> Iterator[tuple[str, int]]:
    for name, variables in (group.get("hosts") or {}).items():
        if "lab_number" in variables:
            yield name, variables["lab_number"]
    for child in (group.get("children") or {}).values():
        yield from _hosts(child)
