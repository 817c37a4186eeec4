"""`iv plan`: estimates what a training run needs on N devices of a kind, before it starts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

from ivcore.errors import ParameterError, shown
from ivcore.run import parameters
from ivcore.scaling import CARDS, ENGINES, GIB, MFU, Estimate, StepCosts, estimate, largest_micro_batch

EXAMPLES = ("iv plan 10 paper --gpus 64", "iv plan 11 paper --gpus 128 --card h100 --clips 12500000",
            "iv plan 13 paper --engine zero2 --json")  # fmt: skip
STATUS = "0 an engine fits; 1 none does; 2 a wrong argument or parameter"
DECODE_MS = 60.0  # core time for 16 frames of a ten-second H.264 video of 320 x 240: benchmarks/decoding.py
IMAGE_MS = 6.0  # core time for a JPEG of half a megapixel
CLIP_MB, IMAGE_MB = 0.6, 0.06  # file sizes of such a video and such an image
MOST_GPUS = 65536


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "memory, time and data rate of a training run on N GPUs, by engine, before it starts"
    parser = add_command("plan", _plan, summary, *EXAMPLES, status=STATUS)
    parser.add_argument("notebook", help='its number ("10"), name or path')
    parser.add_argument("preset", nargs="?", default="paper", help="a preset's name or a .yaml file (paper)")
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="a parameter, repeatable: see iv params")  # fmt: skip
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="devices in all (1)")
    parser.add_argument("--card", default="a100-80", metavar="NAME", help=f"one of {', '.join(CARDS)} (a100-80)")
    parser.add_argument("--engine", metavar="NAME", help=f"only this one of {', '.join(ENGINES)}")
    parser.add_argument("--offload", action="store_true", help="moments and master weights in the host's memory")
    parser.add_argument("--clips", type=int, metavar="N", help="number of training clips, if the preset counts in epochs")  # fmt: skip
    parser.add_argument("--mfu", type=float, default=MFU, metavar="SHARE", help=f"share of the card's peak that a step reaches ({MFU})")  # fmt: skip
    parser.add_argument("--decode-ms", type=float, default=DECODE_MS, metavar="MS", help=f"core time to decode a clip ({DECODE_MS:g})")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="everything as one JSON object")


def _plan(options) -> int:
    _require(options)
    from ivcore import costs
    from ivcore.run import planned
    from ivcore.run.spec import Spec

    spec = Spec.of(options.notebook)
    values = planned.values_of(spec, options.preset, parameters.given(options.p))
    card, lines, plans = CARDS[options.card], [], []
    for steps in planned.steps_of(spec, values):
        counted = costs.training_step(steps.build, steps.run, values["precision"])
        rows = _engines(counted, card, steps, values, options)
        plans.append({"steps": steps.name, "images": steps.images, "samples": steps.batch, "decoded": steps.decoded, "share": steps.share,
                      "counted": dataclasses.asdict(counted), "engines": rows})  # fmt: skip
    best = _best(plans)
    total = _steps(values, options.clips)
    whole = {"notebook": spec.stem, "preset": options.preset, "gpus": options.gpus, "card": options.card, "precision": values["precision"],
             "plans": plans, "best": best, "total_steps": total, **_whole(plans, best, total, options)}  # fmt: skip
    if options.json:
        print(json.dumps(whole, indent=1))
    else:
        lines += _text(whole, values, card)
        print("\n".join(lines))
    return 0 if best else 1


def _require(options) -> None:
    if options.card not in CARDS:
        raise ParameterError(f"--card {shown(options.card)}: must be one of {', '.join(CARDS)}")
    if options.engine is not None and options.engine not in ENGINES:
        raise ParameterError(f"--engine {shown(options.engine)}: must be one of {', '.join(ENGINES)}")
    for name, value, low, high in (
        ("gpus", options.gpus, 1, MOST_GPUS),
        ("clips", options.clips, 1, 1e12),
        ("mfu", options.mfu, 0.001, 1),
        ("decode-ms", options.decode_ms, 0.001, 1e6),
    ):
        if value is not None and not low <= value <= high:
            raise ParameterError(f"--{name} {value}: must be in [{low:g}, {high:g}]")


def _engines(counted: StepCosts, card, steps, values: dict, options) -> list[dict]:
    """An estimate for each engine, at the preset's micro_batch if that fits, else at the largest that fits."""
    rows = []
    for engine in [options.engine] if options.engine else ENGINES:
        if (engine == "plain") != (options.gpus == 1) and not options.engine and engine in ("plain", "ddp"):
            continue
        how = {"gpus": options.gpus, "engine": engine, "batch": steps.batch, "precision": values["precision"],
               "offload": options.offload, "mfu": options.mfu, "again": steps.again}  # fmt: skip
        asked = values["micro_batch"] * values.get("repeats", 1)
        row = estimate(counted, card, micro_batch=asked, **how)
        fits = row.fits(card)
        largest = row.micro_batch if fits else largest_micro_batch(counted, card, **how)
        if largest and not fits:
            row = estimate(counted, card, micro_batch=largest, **how)
        rows.append(_row(row, fits=fits, largest=largest))
    return rows


def _row(row: Estimate, *, fits: bool, largest: int) -> dict:
    return dataclasses.asdict(row) | {"memory": row.memory, "seconds": row.seconds, "fits": fits, "largest": largest}


def _best(plans: list[dict]) -> str | None:
    """The fastest engine that fits for every kind of step, or None."""
    seconds = {}
    for plan in plans:
        for row in plan["engines"]:
            seconds.setdefault(row["engine"], []).append(row["seconds"] if row["largest"] else math.inf)
    fitting = {engine: sum(times) for engine, times in seconds.items() if sum(times) < math.inf}
    return min(fitting, key=fitting.get) if fitting else None


def _steps(values: dict, clips: int | None) -> int | None:
    if values.get("steps"):
        return values["steps"]
    return max(1, round(values["epochs"] * clips / values["batch_size"])) if clips and values.get("epochs") else None


def _whole(plans: list[dict], best: str | None, total: int | None, options) -> dict:
    """Numbers of the best engine: seconds of a mean step, decoding work, and hours in all."""
    if best is None:
        return {}
    rows = [(plan, next(row for row in plan["engines"] if row["engine"] == best)) for plan in plans]
    seconds = sum(plan["share"] * row["seconds"] for plan, row in rows)
    cores, megabytes = zip(*(_reading(plan, row["seconds"], options.decode_ms) for plan, row in rows))
    found = {"seconds": seconds, "cores": math.ceil(max(cores)), "megabytes_per_s": max(megabytes)}
    if total:
        hours = total * seconds / 3600
        found |= {"hours": hours, "gpu_hours": hours * options.gpus}
    return found


def _reading(plan: dict, seconds: float, decode_ms: float) -> tuple[float, float]:
    """(cores for decoding, megabytes per second to read) for a step of `seconds`."""
    a_second = plan["decoded"] / seconds
    return (
        (a_second * IMAGE_MS / 1000, a_second * IMAGE_MB)
        if plan["images"]
        else (a_second * decode_ms / 1000, a_second * CLIP_MB)
    )


def _text(whole: dict, values: dict, card) -> list[str]:
    lines = [f"{whole['notebook']} {whole['preset']}: {whole['gpus']} x {whole['card']} ({card.memory:g} GiB), {whole['precision']}, "
             f"activation_checkpointing {values.get('activation_checkpointing', 'nothing')}"]  # fmt: skip
    for plan in whole["plans"]:
        counted = plan["counted"]
        lines += ["", f"{plan['steps']}: {plan['samples']:,} a step; {counted['parameters'] / 1e6:,.1f} M parameters, {counted['trained'] / 1e6:,.1f} M trained; "
                      f"{counted['operations'] / 1e12:.2f} TFLOP and {counted['clip_bytes'] / 2**20:,.0f} MiB each",
                  f"{'engine':7s} {'micro_batch':>11s} {'GiB':>7s} = {'weights':>7s} {'gradients':>9s} {'moments':>8s} {'activations':>11s} "
                  f"{'s/step':>8s} {'waiting':>8s} {'samples/s':>10s}"]  # fmt: skip
        lines += [_line(row) for row in plan["engines"]]
    if whole["best"] is None:
        return [
            *lines,
            "",
            "Nothing fits: take activation_checkpointing=full, more GPUs, --engine zero3 --offload, or a card with more memory.",
        ]
    lines += ["", f"{whole['best']} is the fastest engine that fits: {whole['seconds']:.3g} s a step. Decoding for it needs about "
                  f"{whole['cores']:,} cores, and reading {whole['megabytes_per_s']:,.0f} MB/s, or {whole['megabytes_per_s'] / whole['gpus']:,.2f} MB/s per GPU."]  # fmt: skip
    if "hours" in whole:
        lines.append(
            f"{whole['total_steps']:,} steps: {whole['hours']:,.1f} hours, {whole['gpu_hours']:,.0f} GPU hours."
        )
    elif values.get("epochs"):
        lines.append(f"The time of {values['epochs']:g} epochs depends on the number of clips: give --clips N.")
    return [*lines, "Counted on tensors without data; times assume a share of the card's peak, see docs/scale.md."]


def _line(row: dict) -> str:
    parts = f"{row['weights'] / GIB:7.1f} {row['gradients'] / GIB:9.1f} {row['moments'] / GIB:8.1f} {row['activations'] / GIB:11.1f}"
    text = f"{row['engine']:7s} {row['micro_batch']:11,d} {row['memory'] / GIB:7.1f} = {parts} {row['seconds']:8.3g} {row['waiting']:8.3g} {row['clips']:10,.0f}"
    if not row["largest"]:
        return f"{text}  does not fit, even with one clip at a time"
    return text if row["fits"] else f"{text}  micro_batch={row['largest']} is the largest that fits"
