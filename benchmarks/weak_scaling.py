"""Weak scaling: a step on two ranks against one, with equally many clips a rank, one thread each, gloo.

    python benchmarks/weak_scaling.py [--engines ddp fsdp] [--batch 32] [--steps 23] [--rounds 3] [--out FILE]

Efficiency is the step time on one rank divided by that on two; 1 if messages are free. By the clock this needs two idle
cores: on a core that others use, the ranks wait for each other. The printed load shows whether they are idle. By
processor time it does not: that counts the work of a rank to make, send and add up messages, without waiting. Two cores
share memory and caches, so even two unrelated trainings slow each other down. These *strangers* are measured too; their
loss is not the engine's. Rounds alternate between one rank, strangers and two ranks; the minimum of each counts.
"""

import argparse
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ivcore.stages import rank_memory


def measured(engine: str, ranks: int, batch: int, steps: int) -> dict[str, float]:
    """Seconds of a step, by the clock and of the busiest rank's processor. On one rank `ddp` is plain."""
    with tempfile.TemporaryDirectory() as folder:
        found = rank_memory.measured(ranks, Path(folder), engine=engine, batch=batch * ranks, steps=steps)
    return {name: max(row[name] for row in found["ranks"]) for name in ("seconds", "processor_seconds")}


def strangers(engine: str, batch: int, steps: int) -> dict[str, float]:
    """As `measured`, for two independent trainings on one rank each at the same time; the slower one counts."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: measured(engine, 1, batch, steps), range(2)))
    return {name: max(each[name] for each in found) for name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engines", nargs="+", default=["ddp", "fsdp"])
    parser.add_argument("--batch", type=int, default=32, help="clips of a rank")
    parser.add_argument("--steps", type=int, default=23)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for engine in options.engines:
        sides = {"one": (measured, 1), "strangers": (strangers,), "two": (measured, 2)}
        times = {side: [] for side in sides}
        for _ in range(options.rounds):
            for side, (measure, *ranks) in sides.items():
                times[side].append(measure(engine, *ranks, options.batch, options.steps))
        print(f"{engine}, {options.batch} clips a rank, others' load {os.getloadavg()[0]:.1f}:")
        for name in ("seconds", "processor_seconds"):
            one, apart, two = (min(each[name] for each in times[side]) for side in sides)
            rows.append(
                {"engine": engine, "batch": options.batch, "by": name, "one": one, "strangers": apart, "two": two}
            )
            print(
                f"  {name:17s} {1000 * one:6.1f} ms on one rank, {1000 * apart:6.1f} as one of two strangers, {1000 * two:6.1f} on each of two ranks:"
                f" efficiency {one / two:.2f}, strangers {one / apart:.2f}, two ranks over strangers {apart / two:.2f}"
            )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
