# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of ansible and ansible-playbook, each in a process of its own in which Ansible is imported already: tests make hundreds
of them, and half the time of a short one would go into that.

As a program, it takes a line of JSON for each call and answers with the exit status; its children write to files.
"""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

PROGRAMS = {"ansible": ("ansible.cli.adhoc", "AdHocCLI"), "ansible-playbook": ("ansible.cli.playbook", "PlaybookCLI")}
NEEDED = (
    "ansible.executor.task_queue_manager",
    "ansible.executor.playbook_executor",
    "ansible.executor.module_common",
    "jinja2",
)


class Calls:
    """The program, started with the first call."""

    def __init__(self, environment):
        self._environment = environment
        self._process = None
        self._one_at_a_time = threading.Lock()

    def run(self, argv, seconds, **environment):
        """The completed process of C(ansible) or C(ansible-playbook) with these words."""
        with self._one_at_a_time, tempfile.TemporaryDirectory() as folder:
            if self._process is None:
                program = [sys.executable, "-B", __file__]
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
                self._process = subprocess.Popen(program, **pipes, text=True, env=self._environment)
            files = [pathlib.Path(folder) / name for name in ("stdout", "stderr")]
            call = {"argv": argv, "files": list(map(str, files)), "environment": environment, "seconds": seconds}
            self._process.stdin.write(json.dumps(call) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(argv, status, *(file.read_text(errors="replace") for file in files))


def main():
    for name in (*NEEDED, *(module for module, _class in PROGRAMS.values())):
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            answer(**json.loads(line))
        _pid, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def answer(argv, files, environment, seconds):
    """Be the program that is called, and end with it."""
    status = 1
    try:
        for descriptor, path in enumerate([os.devnull, *files]):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), descriptor)
        os.environ.update(environment)
        signal.alarm(seconds)
        module, name = PROGRAMS[argv[0]]
        sys.argv = argv
        getattr(sys.modules[module], name).cli_executor(argv)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # nothing may go on in this copy of the program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
