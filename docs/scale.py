"""Writes docs/scale.md: what the stages need on more than one machine, as `iv plan` computes it.

python docs/scale.py     counts, and writes the page and the counts (scale.json); about two minutes

Tests rebuild the page from these counts, which takes no time, and recount a few of them.
"""

import json
import re
from dataclasses import asdict
from functools import cache
from pathlib import Path

from ivcore import costs, files, scaling
from ivcore.run import planned
from ivcore.run.spec import Spec

PAGE, COUNTS = (Path(__file__).with_name(f"scale.{ending}") for ending in ("md", "json"))
CARD, GPUS = "a100-80", (1, 8, 64, 256, 1024)
SIZES = {"base": {}, "large": {"decoder_depth": "12"}, "huge": {}, "giant": {"patch_size": "14", "decoder_depth": "4"}}
CLIPS = {"10": 1_340_000, "12": 658_000, "13": 658_000}  # UnlabeledHybrid and Kinetics-710 (paper, table 1 and 3.2)
STAGES = (
    ("10", "paper", 64),
    ("11", "paper", 128),
    ("12", "k710_masked", 32),
    ("12", "k710_multimodal", 32),
    ("13", "paper", 8),
)
STARTED = ("10", "11", "12", "13", "30")  # for the tasks besides recognition, `iv plan` prints it
PAPERS = {
    ("10", "paper"): "64 A100",
    ("11", "paper"): "128 A100, two weeks: 43,000",
    ("12", "k710_masked"): "32 GPUs (published script)",
}
HEAD = """# Beyond one machine: what a stage needs

`iv plan NOTEBOOK PRESET --gpus N --card NAME` gives memory, time and data rate of any preset of 10 to 13, 30, 33, 34 and 45 before anything starts. This page is made by `python docs/scale.py`.

**Counted**, on tensors without data: weights, trained weights, operations of forward and backward pass, and the memory that the backward pass keeps for each clip and for each step (`ivcore/costs.py`).
**Assumed** (`ivcore/scaling.py`): a step reaches {mfu:.0%} of the card's peak; links carry {link:.0%} of their rate; messages overlap with the backward pass, {hidden:.0%} of the computing; a process holds
{reserved:.1f} GiB besides its tensors. `--mfu` takes a measured share.

On a GPU, a training warns at its start if a step will not fit, by the same counts (`ivcore/run/memory_check.py`). In bf16 and fp16 runs, the remaining float32 products use **TF32** on cards that have it (`ivcore/precision.py`); a run in
fp32 stays exact. **fp8 is not offered**: it needs scales for every tensor of every block, kept in checkpoints of every engine, and pays off only for matrices wider than those of most of these encoders; no card was available to
show a gain, and the paper trains in half precision.

"""
MEASURED = """## Counted and measured

`python benchmarks/step_costs.py`: a step of VideoMAE-B with its decoder, four clips of 16 x 224 x 224, 90 % hidden, float32, one thread of a shared CPU. The step reaches 0.82 to 0.89 of the rate of a 2048³
product, so time follows the counted operations.

| recomputed | GiB counted | GiB measured | ratio |
| --- | --- | --- | --- |
| nothing | 2.36 | 2.19 | 0.93 |
| selective | 2.00 | 1.93 | 0.96 |
| full | 1.49 | 1.67 | 1.12 |

No benchmark has been run on a GPU yet. `python benchmarks/gpu.py --out gpu.json` does it in eight minutes on a machine with a GPU.
"""


_known: dict[str, list[dict]] = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}


@cache
def counted(notebook: str, preset: str, changes: tuple = ()) -> tuple:
    """Values of a preset, and each kind of its steps with its costs: from the stored counts, or counted."""
    values, steps = planned_steps(notebook, preset, changes)
    name = name_of(notebook, preset, changes)
    if name not in _known:
        _known[name] = [asdict(costs.training_step(each.build, each.run, values["precision"])) for each in steps]
    return values, [(each, scaling.StepCosts(**found)) for each, found in zip(steps, _known[name], strict=True)]


def planned_steps(notebook: str, preset: str, changes: tuple = ()) -> tuple:
    spec = Spec.of(notebook)
    values = planned.values_of(spec, preset, dict(changes))
    return values, planned.steps_of(spec, values)


def name_of(notebook: str, preset: str, changes: tuple = ()) -> str:
    return " ".join((notebook, preset, *(f"{name}={value}" for name, value in changes)))


def rows() -> list[tuple]:
    """(notebook, preset, changes) of everything on the page."""
    sizes = [("10", "paper", (("encoder_size", name), *own.items())) for name, own in SIZES.items()]
    stages = [(notebook, preset, ()) for notebook, preset, _ in STAGES]
    return list(dict.fromkeys([*sizes, *stages, *((*each, ()) for each in presets())]))


def quickest(notebook: str, preset: str, gpus: int, changes: tuple = (), card: str = CARD) -> tuple[str, list] | None:
    """The fastest engine among those that fit, with an estimate for each kind of step."""
    values, steps = counted(notebook, preset, changes)
    found = {}
    for engine in scaling.ENGINES:
        if (engine == "plain") != (gpus == 1) and engine in ("plain", "ddp"):
            continue
        rows = []
        for each, step in steps:
            how = {
                "gpus": gpus,
                "engine": engine,
                "batch": each.batch,
                "precision": values["precision"],
                "again": each.again,
            }
            if largest := scaling.largest_micro_batch(step, scaling.CARDS[card], **how):
                rows.append((each.share, scaling.estimate(step, scaling.CARDS[card], micro_batch=largest, **how)))
        if len(rows) == len(steps):
            found[engine] = rows
    best = min(found, key=lambda engine: _seconds(found[engine]), default=None)
    return (best, found[best]) if best else None


def _seconds(rows: list) -> float:
    return sum(share * row.seconds for share, row in rows)


def sizes_table(names=tuple(SIZES)) -> list[str]:
    """A row for each size and number of GPUs."""
    lines = [
        "| encoder | GPUs | engine | clips at once on a GPU | GiB a GPU | s a step | waiting | GPU hours of the paper's 1,200 epochs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        for gpus in GPUS:
            changes = (("encoder_size", name), *SIZES[name].items())
            values, _ = counted("10", "paper", changes)
            if not (found := quickest("10", "paper", gpus, changes)):
                lines.append(f"| {name} | {gpus:,} | none fits | | | | | |")
                continue
            engine, ((_, row),) = found
            steps = values["epochs"] * CLIPS["10"] / values["batch_size"]
            hours = steps * row.seconds * gpus / 3600
            lines.append(
                f"| {name} | {gpus:,} | {engine} | {row.micro_batch} | {row.memory / scaling.GIB:.1f} | {row.seconds:.3g} | {row.waiting / row.seconds:.0%} | {hours:,.0f} |"
            )
    return lines


def stages_table() -> list[str]:
    lines = [
        "| stage | GPUs | engine | GiB a GPU | s a step | steps | days | GPU hours | the paper |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for notebook, preset, gpus in STAGES:
        values, _ = counted(notebook, preset)
        engine, rows = quickest(notebook, preset, gpus)
        total = values.get("steps") or values["epochs"] * CLIPS[notebook] / values["batch_size"]
        seconds, memory = _seconds(rows), max(row.memory for _, row in rows) / scaling.GIB
        hours = total * seconds / 3600
        lines.append(
            f"| {notebook} {preset} | {gpus} | {engine} | {memory:.1f} | {seconds:.3g} | {total:,.0f} | {hours / 24:.1f} | {hours * gpus:,.0f} | {PAPERS.get((notebook, preset), '')} |"
        )
    return lines


def presets() -> list[tuple[str, str]]:
    """(notebook, preset) of all presets for GPUs: one_gpu, the paper's, and those for datasets."""
    small = re.compile(
        "look|quick|tiny|sweep|small|metaworld|finetune|scratch|single|post_|coordinated|shuffled|hmdb51"
    )  # hmdb51: a sweep of three splits
    return [(n, preset) for n in STARTED for preset in Spec.of(n).presets() if not small.search(preset)]


def presets_table(chosen: list[tuple[str, str]]) -> list[str]:
    """GiB of a GPU at the preset's own micro_batch, on 1, 8 and 64 GPUs."""
    lines = [
        "| preset | steps | clips at once on a GPU | 1 GPU | 8 GPUs | 64 GPUs |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for notebook, preset in chosen:
        values, steps = counted(notebook, preset)
        for each, step in steps:
            at_once = values["micro_batch"] * values.get("repeats", 1)
            how = {"batch": each.batch, "micro_batch": at_once, "precision": values["precision"]}
            found = [
                scaling.estimate(step, scaling.CARDS[CARD], gpus=n, engine="plain" if n == 1 else "ddp", **how)
                for n in (1, 8, 64)
            ]
            memory = " | ".join(f"{row.memory / scaling.GIB:.0f} GiB" for row in found)
            lines.append(f"| {notebook} {preset} | {each.name} | {at_once or 'all'} | {memory} |")
    return lines


def page() -> str:
    assumed = {
        "mfu": scaling.MFU,
        "link": scaling.LINK_SHARE,
        "hidden": scaling.HIDDEN,
        "reserved": scaling.RESERVED / scaling.GIB,
    }
    return "\n".join([
        HEAD.format(**assumed) + f"## Masked pretraining by size, on {CARD}", "",
        "The paper's recipe (384 clips x 4 samples a step, bf16), for every size. With many GPUs, each has too few clips to overlap the messages.", "",
        *sizes_table(), "", f"## The paper's stages, on {CARD}", "",
        "The paper counts 64,500 GPU hours in all. `11 paper` recomputes activations (activation_checkpointing=full), which costs a third.", "",
        *stages_table(), "", "## Every preset for GPUs, unchanged", "", "Plain on one GPU, ddp on several; a card of 40 GB holds all of them.", "",
        *presets_table(presets()), "", MEASURED,
    ])  # fmt: skip


if __name__ == "__main__":
    _known.clear()
    PAGE.write_text(page(), encoding="utf-8")
    files.write_json(COUNTS, _known)
    print(PAGE)
