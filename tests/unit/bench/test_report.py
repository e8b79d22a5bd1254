# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark says about its measurements."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import xml.etree.ElementTree

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "bench/report.py"
spec = importlib.util.spec_from_file_location("bench_report", SOURCE)
report = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = report
spec.loader.exec_module(report)


def run(variant, cpu_ms, repetition=0, *, delay=0, size=4096, per_second=100.0, processes=None):
    place = {"size": size, "destinations": 1, "delay": delay, "repetition": repetition}
    return {"variant": variant, **place, "cpu_ms": cpu_ms, "per_second": per_second, "processes": processes or {}}


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([3.0], (3, 3, 3)),
        ([1, 2], (1.5, 1, 2)),
        ([5, 1, 4, 2, 3], (3, 2, 4)),
        ([1, 2, 3, 4], (2.5, 1.5, 3.5)),
        ([1, 1, 1, 1, 100], (1, 1, 1)),
    ],
)
def test_spread_is_the_median_and_the_half_around_it(values, spread):
    assert report.Spread.of(values) == spread


def test_ratio_compares_messages_of_the_same_repetition_when_the_machine_grows_slower():
    runs = [run("stock", 2.0 * slower, n) for n, slower in enumerate((1, 2, 4))]
    runs += [run("strict", 1.9 * slower, n) for n, slower in enumerate((1, 2, 4))]
    assert report.ratio(runs, "cpu_ms", "strict", "stock") == pytest.approx((0.95, 0.95, 0.95))


def test_ratio_leaves_mail_of_other_sizes_and_delays_out():
    runs = [run("stock", 2.0), run("strict", 3.0), run("stock", 1.0, delay=20), run("strict", 9.0, delay=20)]
    runs += [run("stock", 2.0, size=65536), run("strict", 8.0, size=65536)]
    assert report.ratio(runs, "cpu_ms", "strict", "stock", size=4096, delay=0).median == 1.5


def test_each_variant_and_load_has_one_row_with_its_processes_largest_first():
    processes = {"smtpd": 0.5, "cleanup": 0.9, "pickup": 0.0}
    rows = report.summarize([run("stock", cpu, n, processes=processes) for n, cpu in enumerate((1, 2, 9))])
    assert [(row["variant"], row["cpu_ms"].median, list(row["processes"])) for row in rows] == [
        ("stock", 2, ["cleanup", "smtpd"])
    ]


def test_table_shows_cost_beside_that_of_stock_mail_with_the_same_load():
    rows = report.summarize(
        [run("stock", 2.0), run("strict", 1.5), run("stock", 4.0, delay=20), run("strict", 8, delay=20)]
    )
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.table(rows).splitlines()]
    assert lines[0][:4] == ["messages", "destinations", "delay", "variant"]
    assert [(line[2], line[3], line[5]) for line in lines[2:]] == [
        ("none", "stock", "1.00"),
        ("none", "strict", "0.75"),
        ("20 ms", "stock", "1.00"),
        ("20 ms", "strict", "2.00"),
    ]


def test_picture_has_a_bar_for_each_row_and_is_well_formed():
    rows = report.summarize([run("stock & plain", 2.0), run("strict", 4.0)])
    tree = xml.etree.ElementTree.fromstring(report.picture(rows))
    bars = [rect for rect in tree.iter("{http://www.w3.org/2000/svg}rect") if rect.get("fill").startswith("#")]
    assert [float(found.get("width")) for found in bars] == [230, 460]
