# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the nodes try configurations, all at once: one connection to each, with the collection sent along."""

import itertools
import json
import subprocess
import threading

from around import around
from lab import TOP
from mail import NODES
from on_node import start
from shipped import archive

HERE = TOP / "molecule" / "posture" / "node"
INSTANCES = TOP / "molecule" / "shared" / "instances.py"
SECONDS = 1800
RUN = (
    "rm -rf /root/posture && mkdir /root/posture && cd /root/posture && head -c {length} | tar x && "
    "exec timeout {seconds} python3 -W ignore observe.py"
)


class Run:
    """Jobs under way on all nodes."""

    def __init__(self, jobs):
        around()  # once, before there are threads
        self._answers = {}
        self._more = threading.Condition()
        self._left = len(NODES)
        self._threads = []
        for number, node in enumerate(NODES):
            chosen = dict(itertools.islice(jobs.items(), number, None, len(NODES)))
            self._threads.append(threading.Thread(target=self._work, args=[node, chosen], daemon=True))
            self._threads[-1].start()

    def answer(self, name):
        """What a node has found out, once it is known."""
        with self._more:
            self._more.wait_for(lambda: name in self._answers or not self._left)
            answer = self._answers.get(name, {"error": "no node has answered"})
        assert "error" not in answer, answer["error"]
        return answer["found"]

    def _work(self, node, jobs):
        try:
            self._talk(node, jobs)
        finally:
            with self._more:
                self._left -= 1
                self._more.notify_all()

    def _talk(self, node, jobs):
        packed = archive((HERE, "."), (INSTANCES, INSTANCES.name))
        command = RUN.format(length=len(packed), seconds=SECONDS)
        process = start(node, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lines = [around().request, *({"id": name, **job} for name, job in jobs.items())]
        process.stdin.write(packed + "".join(json.dumps(line) + "\n" for line in lines).encode())
        process.stdin.close()
        for line in process.stdout:
            answer = json.loads(line)
            with self._more:
                self._answers[answer["id"]] = answer
                self._more.notify_all()
        process.wait()

    def end(self):
        for thread in self._threads:
            thread.join()
