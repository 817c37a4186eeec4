"""`iv plan`'s estimate of a training step, compared with a measured step: memory and time of VideoMAE-B, 16 x 224 x
224, 90 % hidden.

    python benchmarks/step_costs.py [--batch 4] [--size base] [--out step_costs.json]

Each setting runs in its own process. It measures peak memory beyond that before the model was built, and processor
seconds of the second step. The share of the roof is relative to a 2048³ product measured in the same process. float32,
AdamW, one thread.
"""

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path

from ivcore.encoders.checkpointing import CHOICES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", default="base")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    rows = []
    for what in CHOICES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (options.size, options.batch, what)))
    print(
        f"{'again':10s} {'GiB counted':>11s} {'measured':>9s} {'ratio':>6s} {'TFLOP':>6s} {'s':>6s} {'of the roof':>11s}"
    )
    for row in rows:
        print(
            f"{row['again']:10s} {row['counted'] / 2**30:11.2f} {row['measured'] / 2**30:9.2f} {row['measured'] / row['counted']:6.2f} "
            f"{row['operations'] / 1e12:6.2f} {row['seconds']:6.1f} {row['operations'] / row['seconds'] / row['roof']:11.2f}"
        )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


def measure(size: str, batch: int, what: str) -> dict:
    import torch

    from ivcore import costs
    from ivcore.run import planned
    from ivcore.run.spec import Spec

    torch.set_num_threads(1)
    values = planned.values_of(
        Spec.of("10"), "paper", {"encoder_size": size, "decoder_depth": "4", "activation_checkpointing": what}
    )
    (steps,) = planned.steps_of(Spec.of("10"), values)
    counted = costs.training_step(steps.build, steps.run, "fp32")
    x = torch.rand(2048, 2048)
    roof = 2 * 2048**3 / min(_processor_seconds(lambda: x @ x) for _ in range(3))
    before = _peak()
    model = steps.build().train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step():
        steps.run(model, batch).float().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    seconds = _processor_seconds(step)
    return {
        "again": what,
        "counted": 16 * counted.trained + batch * counted.clip_bytes + counted.step_bytes,
        "measured": _peak() - before,
        "operations": batch * counted.operations,
        "seconds": seconds,
        "roof": roof,
    }


def _processor_seconds(call) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
