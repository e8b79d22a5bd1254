# SPDX-License-Identifier: GPL-3.0-or-later
"""From measurements to medians, ratios, a table and a picture; nothing here measures or runs anything."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Literal, NamedTuple, TypedDict
from xml.sax.saxutils import escape

SIZES = {4096: "4 KiB", 65536: "64 KiB", 1048576: "1 MiB"}
COLORS = ("#4c72b0", "#55a868", "#c9b458", "#c44e52", "#8172b3", "#937860")


class Spread(NamedTuple):
    """The median of repetitions, and the quartiles that half of them lie between."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        ordered = sorted(values)
        middle = len(ordered) // 2
        # The median of each half; the middle one of an odd number belongs to both.
        return cls(median(ordered), median(ordered[: middle + len(ordered) % 2]), median(ordered[middle:]))

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 2
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


class Measured(TypedDict):
    """What one measurement found: CPU of the relay per message in ms, by kind of process too, and messages per second."""

    cpu_ms: float
    per_second: float
    processes: dict[str, float]


class Run(Measured):
    """What it was a measurement of."""

    variant: str
    size: int
    destinations: int
    delay: int
    repetition: int


class Row(TypedDict):
    """All repetitions of one variant under one load."""

    size: int
    destinations: int
    delay: int
    variant: str
    cpu_ms: Spread
    per_second: Spread
    processes: dict[str, float]


class Loading(NamedTuple):
    """What a row has been measured under."""

    size: int
    destinations: int
    delay: int


def summarize(runs: list[Run]) -> list[Row]:
    """One row for each variant and load, in the order of the runs."""
    groups: dict[tuple[int, int, int, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run["size"], run["destinations"], run["delay"], run["variant"]].append(run)
    return [
        {
            "size": size,
            "destinations": destinations,
            "delay": delay,
            "variant": variant,
            "cpu_ms": Spread.of([run["cpu_ms"] for run in group]),
            "per_second": Spread.of([run["per_second"] for run in group]),
            "processes": _medians([run["processes"] for run in group]),
        }
        for (size, destinations, delay, variant), group in groups.items()
    ]


def _medians(breakdowns: list[dict[str, float]]) -> dict[str, float]:
    names = {name for breakdown in breakdowns for name in breakdown}
    middle = {name: median(breakdown.get(name, 0) for breakdown in breakdowns) for name in names}
    return {name: value for name, value in sorted(middle.items(), key=lambda item: -item[1]) if value >= 0.005}


def ratio(runs: list[Run], key: Literal["cpu_ms", "per_second"], variant: str, other: str, **load: int) -> Spread:
    """``variant`` to ``other``, each repetition against its neighbor of the same minute: what drifts falls out."""
    chosen = [run for run in runs if all(dict(run)[name] == value for name, value in load.items())]
    mine, theirs = (
        {(run["repetition"], run["destinations"], run["delay"]): run[key] for run in chosen if run["variant"] == name}
        for name in (variant, other)
    )
    return Spread.of([value / theirs[place] for place, value in mine.items()])


def table(rows: list[Row], baseline: str = "stock") -> str:
    """A table that reads on a terminal and in Markdown alike."""
    bases = {_load(row): row["cpu_ms"].median for row in rows if row["variant"] == baseline}
    cells = [
        ["messages", "destinations", "delay", "variant", "CPU ms per message", f"to {baseline}", "messages per second"]
    ]
    for row in rows:
        base = bases.get(_load(row))
        share = f"{row['cpu_ms'].median / base:.2f}" if base else ""
        delay = f"{row['delay']} ms" if row["delay"] else "none"
        load = [SIZES.get(row["size"], str(row["size"])), str(row["destinations"]), delay]
        cells.append([*load, row["variant"], str(row["cpu_ms"]), share, str(row["per_second"])])
    return lay_out(cells)


def lay_out(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _load(row: Row) -> Loading:
    return Loading(row["size"], row["destinations"], row["delay"])


def picture(rows: list[Row]) -> str:
    """An SVG: a group of bars for each load, CPU per message relative to the group's longest bar."""
    loads = list(dict.fromkeys(_load(row) for row in rows))
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    thick, gap, left, width = 13, 26, 210, 460
    height = 50 + sum(gap + thick * sum(_load(row) == load for row in rows) for load in loads)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 190}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-size="14">CPU of a relay per message (ms): median, and the half around it</text>',
    ]
    top = 40
    for load in loads:
        group = [row for row in rows if _load(row) == load]
        scale = width / max(row["cpu_ms"].high for row in group)
        size, destinations, delay = load
        title = (
            f"{SIZES.get(size, str(size))}, {destinations} destination{'s' * (destinations > 1)}, {delay} ms of delay"
        )
        parts.append(f'<text x="10" y="{top + 12}" font-weight="bold">{escape(title)}</text>')
        top += 16
        for row in group:
            cpu, middle = row["cpu_ms"], top + thick / 2
            color = COLORS[variants.index(row["variant"]) % len(COLORS)]
            parts += [
                f'<text x="{left - 8}" y="{top + 10}" text-anchor="end">{escape(row["variant"])}</text>',
                f'<rect x="{left}" y="{top + 1}" width="{cpu.median * scale:.1f}" height="{thick - 2}" fill="{color}"/>',
                f'<path d="M{left + cpu.low * scale:.1f} {middle}H{left + cpu.high * scale:.1f}" stroke="black"/>',
                f'<text x="{left + width + 8}" y="{top + 10}">{cpu.median:.2f} ms, '
                f"{row['per_second'].median:.0f} messages/s</text>",
            ]
            top += thick
        top += gap - 16
    return "\n".join([*parts, "</svg>", ""])
