"""How much longer a step takes when two ranks each have as many clips as one rank alone: weak scaling, a thread each, gloo.

    python benchmarks/weak_scaling.py [--engines ddp fsdp] [--batch 32] [--steps 23] [--rounds 3] [--out FILE]

Efficiency is the step on one rank over the step on two, 1 where messages are free. By the clock it needs two idle cores, and says so: a core that
others use makes the ranks wait for each other. By processor time of a rank it does not: it counts what the messages cost a rank to make, send and add up,
and not how long it waits. Rounds alternate between one rank and two; the least of each counts.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from ivcore.stages import held


def measured(engine: str, ranks: int, batch: int, steps: int) -> dict[str, float]:
    """Seconds of a step, by the clock and of the busiest rank's processor. On one rank `ddp` is plain."""
    with tempfile.TemporaryDirectory() as folder:
        found = held.measured(ranks, Path(folder), engine=engine, batch=batch * ranks, steps=steps)
    return {name: max(row[name] for row in found["ranks"]) for name in ("seconds", "processor_seconds")}


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
        times = {1: [], 2: []}
        for _ in range(options.rounds):
            for ranks, found in times.items():
                found.append(measured(engine, ranks, options.batch, options.steps))
        least = {r: {name: min(each[name] for each in found) for name in found[0]} for r, found in times.items()}
        rows.append(
            {"engine": engine, "batch": options.batch, "load": os.getloadavg()[0]}
            | {f"{name} of {ranks}": value for ranks, of in least.items() for name, value in of.items()}
            | {f"efficiency by {name}": least[1][name] / least[2][name] for name in least[1]}
        )
        one, two = least[1], least[2]
        print(f"{engine}, {options.batch} clips a rank, others' load {os.getloadavg()[0]:.1f}:")
        for name in one:
            print(
                f"  {name:17s} {1000 * one[name]:7.1f} ms on one rank, {1000 * two[name]:7.1f} on each of two: {one[name] / two[name]:.2f}"
            )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
