# SPDX-License-Identifier: GPL-3.0-or-later
"""How many messages are in the queue, and since when."""

from __future__ import annotations

import os
import struct

import pytest


def test_messages_are_counted_by_queue_and_the_oldest_deferred_one_is_known_by_its_arrival(program, instance, tmp_path):
    spool = tmp_path / "spool"
    for folder in ("active", "deferred/9", "deferred/A", "hold"):
        (spool / folder).mkdir(parents=True)
    head = b"C_            265             246               1               0             265               0"
    (spool / "deferred/9/9B1B51BC6C3").write_bytes(head + b"T\x111795560604 377388A\x16create_time=1795560604")
    (spool / "deferred/A/A1").write_bytes(head + b"T\x111795560500 377388A\x16create_time=1795560500")
    (spool / "active/B1").touch()
    metrics = program.Metrics()
    program.tell_queue(instance(), 1795560700, metrics)
    counts = {dict(labels)["queue"]: n for labels, n in metrics.samples["queue_messages"].items()}
    assert counts == {"maildrop": 0, "incoming": 0, "active": 1, "deferred": 2, "hold": 0, "corrupt": 0}
    assert metrics.samples["oldest_deferred_message_age_seconds"] == {(): 200}


@pytest.fixture
def folder(tmp_path):
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("content", [None, b"", struct.pack("200x")])
def test_a_queue_file_that_is_gone_or_none_has_no_arrival(program, folder, tmp_path, content):
    if content is not None:
        (tmp_path / "A1").write_bytes(content)
    assert program.arrival(folder, "A1") is None
