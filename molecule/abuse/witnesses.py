# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sees what abuse does to a relay: another client, which wants to be served meanwhile, and a look at the disk."""

import collections
import json
import pathlib
import shlex
import subprocess
import threading
import uuid

from fleet_lab import FLEET
from mail import NODES, probe
from on_node import start

PROGRAMS = pathlib.Path(__file__).parent / "node"
RELAY, CROWD, OTHERS = "node1", "node2", "node3"
ADDRESSES = [FLEET.address(number) for number in range(201, 206)]
"""Of the crowd."""


class Agent:
    """A program on a node that ends with its input. What it says is collected as it comes."""

    def __init__(self, node, program, *arguments):
        source = (PROGRAMS / f"{program}.py").read_text()
        command = shlex.join(["python3", "-c", source, *arguments])
        self._process = start(node, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._more = threading.Condition()
        self._said = []
        self._ended = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        for line in self._process.stdout:
            with self._more:
                self._said.append(line.strip())
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def said(self, number=0, seconds=120):
        """The lines so far, as soon as there are so many."""
        with self._more:
            self._more.wait_for(lambda: len(self._said) >= number or self._ended, seconds)
            assert len(self._said) >= number, "it has ended" if self._ended else f"{len(self._said)} of {number} lines"
            return list(self._said)

    def ask(self):
        """The next line that it says."""
        number = len(self.said()) + 1
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.said(number)[-1]

    def end(self):
        """All that it said."""
        self._process.stdin.close()
        assert self._process.wait(150) == 0
        self._listener.join()
        return self.said()


class Relay:
    """The relay under abuse, as its disk and another client see it."""

    def __init__(self):
        self._name = f"canary {uuid.uuid4().hex}"
        self._subjects = []
        self._watcher = Agent(RELAY, "watcher")
        self.look()
        self._canary = Agent(OTHERS, "canary", NODES[RELAY], probe(RELAY), self._name)
        self._arrived = collections.Counter()

    def serves_others(self):
        """Two messages more: one may have been accepted before, and be counted now. None was ever refused."""
        said = self._canary.said(len(self._canary.said()) + 2)
        assert [line for line in said if not line.isdigit()] == []

    def look(self):
        """How many clients are connected; nothing stays in the queue."""
        found = json.loads(self._watcher.ask())
        self._subjects += found["subjects"]
        assert found["left"] == [], "these files stay in the queue"
        return found["connections"]

    def stored(self):
        """The subjects of messages that have come into the mailbox since this was last asked, without the other client's."""
        self.look()
        subjects, self._subjects = self._subjects, []
        self._arrived.update(subject for subject in subjects if subject.startswith(self._name))
        return sorted(subject for subject in subjects if not subject.startswith(self._name))

    def end(self):
        """Each message of the other client that was accepted has arrived, and once."""
        accepted = [f"{self._name} {line}" for line in self._canary.end() if line.isdigit()]
        assert self.stored() == []
        self._watcher.end()
        assert self._arrived == collections.Counter(accepted)


class Crowd(Agent):
    """Clients from several addresses, as many from each."""

    def __init__(self, act, each, addresses):
        self.names = [f"{act} {address} {number}" for address in addresses for number in range(each)]
        request = {"server": NODES[RELAY], "recipient": probe(RELAY), "prefix": 24, "name": act}
        super().__init__(CROWD, "crowd", json.dumps({**request, "act": act, "each": each, "sources": addresses}))

    def told(self):
        """The replies by client, as far as there are any."""
        replies = collections.defaultdict(list)
        for line in map(json.loads, self.said()):
            replies[line["name"]].append(line["reply"])
        return replies
