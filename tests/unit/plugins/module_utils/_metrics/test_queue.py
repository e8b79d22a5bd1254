# SPDX-License-Identifier: GPL-3.0-or-later
"""How many messages are in the queue, and since when."""

from __future__ import annotations

import os
import struct

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._folder import open_folder
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import queue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import as_root, link


def test_messages_are_counted_by_queue_and_the_oldest_deferred_one_is_known_by_its_arrival(instance, tmp_path):
    spool = tmp_path / "spool"
    for folder in ("active", "deferred/9", "deferred/A", "hold"):
        (spool / folder).mkdir(parents=True)
    head = b"C_            265             246               1               0             265               0"
    (spool / "deferred/9/9B1B51BC6C3").write_bytes(head + b"T\x111795560604 377388A\x16create_time=1795560604")
    (spool / "deferred/A/A1").write_bytes(head + b"T\x111795560500 377388A\x16create_time=1795560500")
    (spool / "active/B1").touch()
    metrics = Metrics()
    queue.tell_queue(instance(), 1795560700, metrics)
    counts = {dict(labels)["queue"]: n for labels, n in metrics.samples["queue_messages"].items()}
    assert counts == {"maildrop": 0, "incoming": 0, "active": 1, "deferred": 2, "hold": 0, "corrupt": 0}
    assert metrics.samples["oldest_deferred_message_age_seconds"] == {(): 200}


@pytest.fixture
def folder(tmp_path):
    with open_folder(str(tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize("content", [None, b"", struct.pack("200x")])
def test_a_queue_file_that_is_gone_or_none_has_no_arrival(folder, tmp_path, content):
    if content is not None:
        (tmp_path / "A1").write_bytes(content)
    assert queue.arrival(folder, "A1") is None


@as_root
def test_in_the_queue_nothing_is_followed_and_nothing_waited_for(instance, tmp_path, theirs):
    record = b"C             265T\x11%d 377388A"
    deferred = tmp_path / "spool" / "deferred"
    (deferred / "A").mkdir(parents=True)
    (deferred / "A" / "A1").write_bytes(record % 1795560500)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "B1").write_bytes(record % 1000000000)
    link(deferred / "B", "../../elsewhere")
    link(deferred / "B1", "../../elsewhere/B1")
    os.mkfifo(deferred / "C1")
    metrics = Metrics()
    queue.tell_queue(instance(), 1795560700, metrics)
    counts = {dict(labels)["queue"]: n for labels, n in metrics.samples["queue_messages"].items()}
    assert counts["deferred"] == 1
    assert metrics.samples["oldest_deferred_message_age_seconds"] == {(): 200}


def test_folders_in_folders_of_the_queue_have_an_end(instance, tmp_path):
    deep = tmp_path / "spool" / "deferred" / "/".join("x" * 200)
    deep.mkdir(parents=True)
    (deep / "A1").touch()
    queue.tell_queue(instance(), 0, Metrics())


@pytest.mark.parametrize(
    ("content", "moment"),
    [
        (b"C   1   2T\x111795560604 377388A", 1795560604),
        (b"T\x111795560604 377388A", 1795560604),
        (b"C   1   2A\x20x=T 1111111111 T\x111795560604 3", None),
        (b"X T\x111795560604 377388A", None),
    ],
)
def test_an_arrival_stands_where_postfix_wrote_it(folder, tmp_path, content, moment):
    (tmp_path / "A1").write_bytes(content)
    assert queue.arrival(folder, "A1") == moment
