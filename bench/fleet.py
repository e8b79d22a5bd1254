# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of the benchmark, and one measurement with them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any

from lab import TOP, Lab
from report import Measured

LAB = Lab(TOP / "bench" / "inventory", "-bench")
ADDRESSES = LAB.nodes
RELAY_NETWORK, RELAY_ADDRESS = f"{LAB.address(64)}/26", LAB.address(65)
SINK_NETWORK, SINK_ADDRESSES = f"{LAB.address(128)}/26", [LAB.address(number) for number in range(129, 149)]
POSTFIXES = ("sender", "relay", "sink")
SECONDS = 300


@dataclass(frozen=True)
class Variant:
    """A configuration that prepare.yml made, and parameters that this run tries on top of it."""

    name: str
    base: str
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """Messages to send through the relay."""

    size: int
    destinations: int
    delay: int
    count: int

    @property
    def batch(self) -> str:
        return f"{self.count}x{self.size}-{self.destinations}"


class Node:
    """A node that does what node.py knows."""

    def __init__(self, name: str, *, privileged: bool = False) -> None:
        self.name = name
        program = ["python3", "-u", "/root/node.py"]
        argv = LAB.ssh(name, *program)
        if privileged:  # to trace processes of other users, which root of a container may not
            sudo = [] if os.geteuid() == 0 else ["sudo"]
            argv = [
                *sudo,
                "podman",
                "exec",
                "--interactive",
                "--privileged",
                f"smtp-hardening-{LAB.name}-{name}",
                *program,
            ]
        self._process = subprocess.Popen(  # noqa: S603 -- no shell; all words stand above
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._input, self._output = _pipe(self._process.stdin), _pipe(self._process.stdout)

    def __call__(self, command: str, *arguments: object) -> Any:  # type: ignore[explicit-any]  # whatever the command answers
        self._input.write(json.dumps([command, *arguments]) + "\n")
        self._input.flush()
        answer = json.loads(self._output.readline() or '{"error": "the node is gone"}')
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {command}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        self._input.close()
        self._process.wait()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("the node's program was started without pipes")
    return stream


class Fleet:
    """Sender, relay and sink, with the wire between them."""

    def __init__(self) -> None:
        self._lock = (LAB.state / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                "Another run of the benchmark has these nodes; two would spoil each other's figures."
            ) from None
        self.nodes = {name: Node(name) for name in ADDRESSES}
        self.sender, self.relay, self.sink = (self.nodes[name] for name in POSTFIXES)
        self.sink("sink")
        self.netem = False
        self._delay = self._proxied = 0
        self._set_routes(over_wire=False)

    def make_batches(self, batches: dict[str, tuple[int, int, int]]) -> None:
        """``{name: (count, size, destinations)}``: taken once, in the same way for all."""
        self.sender("switch", "stock", {})
        for name, values in batches.items():
            self.sender("make_batch", name, *values)

    def switch(self, variant: Variant) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self.nodes[name]("switch", variant.base, variant.settings), POSTFIXES))

    def measure(self, load: Load) -> Measured:
        """Send the messages through the relay: its CPU per message in ms, and messages per second."""
        self.relay("watch")
        sunk, before = self.sink("sunk"), self.relay("cpu")
        seconds = self.send(load.batch)
        used = {name: 1000 * (after - before[name]) / load.count for name, after in self.relay("cpu").items()}
        arrived = self.sink("sunk") - sunk
        if arrived != load.count:
            raise RuntimeError(f"{arrived} of {load.count} messages arrived")
        processes = {name: 1000 * cpu / load.count for name, cpu in self.relay("watched").items()}
        ended = max(0, used["postfix"] - sum(processes.values()))
        return {
            "cpu_ms": sum(used.values()),
            "per_second": load.count / seconds,
            "processes": {**processes, "ended unseen": ended, "journald": used["journal"]},
        }

    def count_calls(self, load: Load) -> dict[str, float]:
        """System calls of the relay per message; counting them slows it down, so that nothing else is measured."""
        tracer = Node("relay", privileged=True)
        try:
            tracer("trace")
            self.send(load.batch)
            return {name: number / load.count for name, number in tracer("traced").items()}
        finally:
            tracer.close()

    def send(self, batch: str) -> float:
        """Let a batch go: the seconds until its last message had left the relay."""
        self.sender("put", batch)
        begin: float = self.sender("release")
        self.sender("wait", SECONDS)
        end: float = self.relay("wait", SECONDS)
        return end - begin

    def _set_routes(self, over_wire: bool) -> None:
        self.sender("route", RELAY_NETWORK, ADDRESSES["wire" if over_wire else "relay"])
        self.relay("route", SINK_NETWORK, ADDRESSES["wire" if over_wire else "sink"])

    def set_delay(self, milliseconds: int) -> None:
        """Delay each hop by so much from now on; connections that are open end first: on another route, nobody would hear of it."""
        if milliseconds == self._delay:
            return
        for node in (self.sender, self.relay):
            node("restart")
        self._delay = milliseconds
        if not milliseconds:
            for node in (self.sender, self.sink):
                node("no_netem")
            self._set_routes(over_wire=False)
        elif self._has_netem(milliseconds):
            self.netem = True
        else:
            if not self._proxied:
                to_sink = [f"{address}={ADDRESSES['sink']}" for address in SINK_ADDRESSES]
                self.nodes["wire"]("proxy", milliseconds, f"{RELAY_ADDRESS}={ADDRESSES['relay']}", *to_sink)
            self._proxied = milliseconds
            self._set_routes(over_wire=True)

    def _has_netem(self, milliseconds: int) -> bool:
        """Whether the kernel itself delays what the sender sends to the relay, and the sink's answers to it."""
        return bool(self.sender("netem", milliseconds) and self.sink("netem", milliseconds))

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
