# SPDX-License-Identifier: GPL-3.0-or-later
"""What a relay costs per message in plaintext, lenient and strict: variants side by side in one run.

    bench.py relay            4 KiB, what the two targets need
    bench.py all              every variant, size, number of destinations and delay
    bench.py try NAME=VALUE   strict (or --base) with this parameter against without (several: all of them together)

The parameter is one of main.cf, or service/type/parameter or service/type/field as postconf -P and -F take it.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import pathlib
from collections.abc import Iterator, Sequence

from fleet import Fleet, Load, Variant
from report import SIZES, Row, Run, lay_out, picture, ratio, summarize, table

RESULTS = pathlib.Path(__file__).parent / "results"
VARIANTS = STOCK, TUNED, LENIENT, NAIVE, STRICT = tuple(
    Variant(name, name) for name in ("stock", "tuned", "lenient", "naive", "strict")
)
TARGETS = {"strict_vs_stock_plaintext_cpu": ("stock", 0.95), "strict_vs_tuned_plaintext_cpu": ("tuned", 1.10)}
DELAY = 20
WARM_UP = "warm-up"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["relay", "all", "try"])
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--base", choices=[variant.name for variant in VARIANTS], default="strict")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    fleet = Fleet()
    try:
        if arguments.what == "relay":
            measure_relay(fleet, arguments.repetitions)
        elif arguments.what == "all":
            measure_all(fleet, arguments.repetitions)
        else:
            settings = dict(setting.split("=", 1) for setting in arguments.settings)
            try_settings(fleet, arguments.repetitions, arguments.base, settings)
    finally:
        fleet.close()


def measure_relay(fleet: Fleet, repetitions: int) -> None:
    loads = [Load(4096, 1, delay, 1500) for delay in (0, DELAY)]
    variants = [STOCK, TUNED, STRICT]
    *_earlier, runs = interleave(fleet, variants, loads, repetitions, warm_up=500)
    rows = summarize(runs)
    result = {name: ratio(runs, "cpu_ms", "strict", other, size=4096) for name, (other, _most) in TARGETS.items()}
    rates = ratio(runs, "per_second", "strict", "stock", size=4096, delay=DELAY)
    few = Load(4096, 1, 0, 200)
    fleet.make_batches({few.batch: (few.count, few.size, few.destinations)})
    calls = {}
    for variant in variants:
        fleet.switch(variant)
        fleet.set_delay(few.delay)
        fleet.send(WARM_UP)
        calls[variant.name] = fleet.count_calls(few)

    print(table(rows), "\n")
    processes = {row["variant"]: row["processes"] for row in rows if not row["delay"]}
    print(breakdown(processes, "process", "CPU ms per message"))
    print(breakdown(calls, "system call", "calls per message"))
    for name, (_other, most) in TARGETS.items():
        print(f"{name}: {result[name]}, target {most:.2f}")
    print(f"messages per second with {DELAY} ms of delay, strict to stock: {rates}")
    write(
        "relay",
        fleet,
        runs,
        rows,
        **{name: round(value.median, 3) for name, value in result.items()},
        ratio_quartiles={name: [round(value.low, 3), round(value.high, 3)] for name, value in result.items()},
        strict_vs_stock_plaintext_messages_per_second_with_delay=round(rates.median, 3),
        system_calls=calls,
    )


def measure_all(fleet: Fleet, repetitions: int) -> None:
    counts = {4096: 400, 65536: 100, 1048576: 20}
    loads = [
        Load(size, destinations, delay, counts[size])
        for delay, size, destinations in itertools.product((0, DELAY), SIZES, (1, 20))
    ]
    for runs in interleave(fleet, VARIANTS, loads, repetitions, warm_up=200):
        # At once, so that a run which is ended early leaves what it has measured.
        rows = summarize(runs)
        write("all", fleet, runs, rows)
        (RESULTS / "all.svg").write_text(picture(rows))
    print(table(rows))


def try_settings(fleet: Fleet, repetitions: int, base: str, settings: dict[str, str]) -> None:
    loads = [Load(4096, 1, delay, 1500) for delay in (0, DELAY)]
    variants = [Variant(base, base), Variant("tried", base, settings)]
    *_earlier, runs = interleave(fleet, variants, loads, repetitions, warm_up=500)
    print(table(summarize(runs), base))
    for load in loads:
        cpu, rate = (ratio(runs, key, "tried", base, delay=load.delay) for key in ("cpu_ms", "per_second"))
        print(f"{load.delay} ms of delay: CPU per message {cpu}, messages per second {rate}")


def interleave(
    fleet: Fleet, variants: Sequence[Variant], loads: list[Load], repetitions: int, warm_up: int
) -> Iterator[list[Run]]:
    """Every variant in every repetition, so that what else the machine does hits all of them: all runs after each."""
    batches = {load.batch: (load.count, load.size, load.destinations) for load in loads}
    fleet.make_batches({**batches, WARM_UP: (warm_up, 4096, max(load.destinations for load in loads))})
    runs: list[Run] = []
    expected = repetitions * len(loads) * len(variants)
    for repetition in range(repetitions):
        for variant in variants:
            fleet.switch(variant)
            for delay, of_delay in itertools.groupby(loads, key=lambda load: load.delay):
                fleet.set_delay(delay)
                fleet.send(WARM_UP)
                for load in of_delay:
                    runs.append(
                        {
                            "variant": variant.name,
                            "size": load.size,
                            "destinations": load.destinations,
                            "delay": delay,
                            "repetition": repetition,
                            **fleet.measure(load),
                        }
                    )
                    print(f"\r==> {len(runs)} of {expected} measured", end="", flush=True)
        yield sorted(runs, key=lambda run: (run["size"], run["destinations"], run["delay"]))
    print("\n")


def breakdown(columns: dict[str, dict[str, float]], title: str, unit: str) -> str:
    """The largest parts of each variant, side by side."""
    names = sorted({name for parts in columns.values() for name in parts}, key=lambda name: -_largest(columns, name))
    rows = [[name, *(f"{parts.get(name, 0):.2f}" for parts in columns.values())] for name in names[:12]]
    return lay_out([[f"{title} ({unit})", *columns], *rows]) + "\n"


def _largest(columns: dict[str, dict[str, float]], name: str) -> float:
    return max(parts.get(name, 0) for parts in columns.values())


def write(name: str, fleet: Fleet, runs: list[Run], rows: list[Row], **more: object) -> None:
    RESULTS.mkdir(exist_ok=True)
    result = {
        **more,
        "measured": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
        **fleet.relay("about"),
        "delay_by": "netem" if fleet.netem else "proxy",
        "rows": [{**row, "cpu_ms": row["cpu_ms"]._asdict(), "per_second": row["per_second"]._asdict()} for row in rows],
        "runs": runs,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(_rounded(result), indent=1) + "\n")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    main()
