"""Fine-tunes on one's own videos in one command: everything around four ordinary runs of notebooks 12 and 13.

Reads and divides the videos (`data.class_folders`, `divide`), writes the lists to a folder, and makes the runs: both
encoders learn the labels, cross-model attention joins them, and the masked encoder also learns from random weights.
The results are a table, and the model that is best on the validation videos.

    outputs/finetune/<name>/    train.csv val.csv test.csv classes.txt groups.csv videos.sha256    read.jsonl plan.json spent.json
                                untrained-<seed>.safetensors    table.md table.json    model.safetensors

Nothing is done twice: plan.json keeps the decisions, runs are finished or continue from their checkpoints,
spent.json counts the seconds of all calls. videos.sha256 belongs to the label set: if a video changes under its old
name, the runs start again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ivcore import files, lock, paths
from ivcore.cores import cores
from ivcore.data import check, class_folders, divide, memory
from ivcore.data.stratify import PARTS
from ivcore.errors import ParameterError, UserError, one_line, shown
from ivcore.progress import clock
from ivcore.run import encoder_kinds, finetune_table, provenance
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run.failure import STOPPED
from ivcore.run.quiet_output import quiet_output
from ivcore.run.spec import Reference, Spec, held
from ivcore.video.probe import Probe
from ivcore.video.sampling import stride_of

MINUTES = 8.0
_SECONDS = 3.0  # of each video that a clip of dense frames spans, where the video is so long
_CLEARLY = 0.85  # of the time in fp32
_SIDED = re.compile(r"(?<![a-z])(left|right)(wards?)?(?![a-z])|clockwise", re.IGNORECASE)  # in names of classes
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # where words of a name like turnLeft meet
RUNS = {  # what is trained, in this order -> notebook, preset
    "masked": ("12", "finetune"),
    "multimodal": ("12", "finetune_multimodal"),
    "coordinated": ("13", "finetune"),
    "scratch": ("12", "finetune_scratch"),
}
BOX = {  # started from, where they are there: they have seen labels of motions, which carries over to classes they have not seen
    "masked": "ivcore/small-masked-classifier",
    "multimodal": "ivcore/small-multimodal-classifier",
}
_PLAN = {  # what plan.json has
    "source": str,
    "signature": str,
    "notes": list,
    "counts": dict,
    "groups": dict,
    "encoders": dict,
    "seconds": float | int,
    "runs": dict,
}
_WIDE = 60  # characters of a class in the table of counts


@dataclass(frozen=True)
class FinetuneRequest:
    """place: a folder or a list. masked, multimodal: encoders as in parameters, "" for those of the presets. minutes
    and epochs: at most one of them. out: "" for a folder in the outputs. flip: whether clips may be mirrored.
    """

    place: str
    masked: str = ""
    multimodal: str = ""
    minutes: float | None = None
    epochs: float | None = None
    seed: int = 0
    out: str = ""
    flip: bool = True
    verbose: bool = False

    @property
    def settings(self) -> dict:
        """The options that a plan depends on, besides the videos."""
        chosen = {name: getattr(self, name) for name in ("masked", "multimodal", "minutes", "epochs")}
        return chosen if self.flip else chosen | {"flip": False}


# ---- the command


def finetune(asked: FinetuneRequest) -> int:
    """Returns the exit status. UserError for videos that cannot be learned from."""
    labelled = class_folders.read(asked.place)
    folder = _folder(asked)
    folder.mkdir(parents=True, exist_ok=True)
    with lock.held(folder):
        try:
            signature = _signature(labelled, asked.settings)  # before videos are read, for one may change meanwhile
            if not (plan := _kept_plan(asked, folder, signature)):
                _begin(asked, folder)
                with _spending(folder, f"{signature} plan"):
                    plan = _new_plan(asked, folder, labelled, signature)
            print(counts_table(plan["counts"]), *plan["notes"], sep="\n", flush=True)
            print(*_replaced(asked, folder), _told(plan, asked), sep="\n", flush=True)
            done = _run_all(asked, folder, plan)
        except KeyboardInterrupt:
            print("iv: interrupted; the same command continues from here", file=sys.stderr)
            return 130
        except (run.RunFailed, run.StoppedWhenDone) as error:
            lines = error.lines() if isinstance(error, run.RunFailed) else []
            mended = "" if error.failure.kind in STOPPED else "once that is mended, "
            print(*lines, f"iv: {mended}the same command continues from here", sep="\n", file=sys.stderr)
            return error.failure.status
        _finish(folder, plan, done, asked)
    return 0


def dry(asked: FinetuneRequest) -> None:
    """Prints how the videos would be divided and what would run. Opens no video and writes nothing."""
    labelled = class_folders.read(asked.place)
    for name in BOX:
        _value(asked, name)
    divided = divide.divide(labelled, {})
    print(counts_table(divided.counts()), *labelled.notes, *divided.notes, *divided.warnings(), sep="\n")
    print(_mirrored(asked, divided.classes))
    length = (
        _epochs(asked.epochs) if asked.epochs else f"as many epochs as fit into {asked.minutes or MINUTES:g} minutes"
    )
    print(f"would be trained, {length}: " + ", ".join(f"{what} (iv run {n} {p})" for what, (n, p) in RUNS.items()))
    print(f"results would lie in {paths.short(_folder(asked))}")


def _folder(asked: FinetuneRequest) -> Path:
    if asked.out:
        folder = Path(os.path.normpath(paths.candidates(asked.out)[0]))
        if folder.exists() and not folder.is_dir():
            raise ParameterError(f"--out {shown(asked.out)}: is not a folder")
        return folder
    name = re.sub(r"[^\w.-]+", "_", Path(os.path.abspath(asked.place)).stem).strip("._") or "videos"
    return paths.outputs() / "finetune" / name


def _epochs(number: float) -> str:
    return "1 epoch" if number == 1 else f"{number:g} epochs"


# ---- the plan


def _signature(labelled: class_folders.Labelled, settings: dict) -> str:
    """Changes whenever a video, its class, its group or an option changes."""
    hasher = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path, name in sorted(labelled.videos.items()):
        hasher.update(json.dumps([path, name, labelled.together.get(path), *files.fingerprint(path)]).encode())
    return hasher.hexdigest()[:16]


def _kept_plan(asked: FinetuneRequest, folder: Path, signature: str) -> dict | None:
    """The plan of an earlier call for the same videos; None without one, or if it is incomplete or differs.
    UserError if the folder belongs to other videos.
    """
    file = folder / "plan.json"
    if not file.exists():
        if others := [each.name for each in folder.iterdir() if not each.name.startswith((".lock", ".plan.json."))]:
            raise UserError(
                f"{paths.short(folder)}: holds something else ({others[0]}); give another folder with --out"
            )
        return None
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(plan, dict) or not isinstance(plan.get("source", ""), str):
        return None
    if plan.get("source", source := os.path.abspath(asked.place)) != source:
        gone = (
            ""
            if os.path.exists(plan["source"])
            else " (not there any more: after a move, remove the folder and begin again)"
        )
        raise UserError(
            f"{paths.short(folder)}: holds the fine-tuning of {plan['source']}{gone}; give another folder with --out"
        )
    if (
        not all(isinstance(plan.get(name), kind) for name, kind in _PLAN.items())
        or not plan["runs"].keys() >= RUNS.keys()
    ):
        return None
    whole = all((folder / name).is_file() for name in ("classes.txt", *(f"{part}.csv" for part in PARTS)))
    return plan if whole and plan["signature"] == signature else None


def _begin(asked: FinetuneRequest, folder: Path) -> None:
    """Writes to whom the folder belongs before anything else, so that a later call can continue one that ended early."""
    for name in BOX:
        _value(asked, name)  # before any video is opened
    files.write_json(folder / "plan.json", {"source": os.path.abspath(asked.place)})


def _new_plan(asked: FinetuneRequest, folder: Path, labelled, signature: str) -> dict:
    from ivcore.run import budget

    for file in folder.glob("untrained-*.safetensors"):  # of the shape that another encoder had
        file.unlink()
    videos = _signature(labelled, {})
    began = time.monotonic()
    probes = check.probed_once(list(labelled.videos), folder / "read.jsonl")
    took = time.monotonic() - began
    divided = divide.divide(labelled, probes)
    divide.write(divided, folder)
    files.write_text(folder / provenance.VIDEOS, f"{videos}\n")
    encoders = {name: _encoder(asked, name) for name in ("masked", "multimodal")}
    sizes = {part: len(videos) for part, videos in divided.parts.items()}
    held_out = sizes["val"] + sizes["test"]
    image = max(each.image for each in encoders.values())
    print("timing a step of either encoder", flush=True)
    loaded = {name: each.load() for name, each in encoders.items()}
    precision, costs = _faster({p: [budget.cost(loaded[n], each.frames, image, p) for n, each in encoders.items()] for p in budget.precisions()})  # fmt: skip
    in_memory = _bytes(probes.values(), image) < _memory()
    work = (*costs, sizes["train"], held_out, took, in_memory)
    if asked.epochs:
        lengths = budget.lengths(asked.epochs)
        lengths = replace(lengths, seconds=budget.seconds(lengths, *work))
    else:
        lengths = budget.fitting(asked.minutes or MINUTES, *work)
    plan = {
        "source": os.path.abspath(asked.place),
        "signature": signature,
        "notes": [*labelled.notes, *divided.notes, *divided.warnings()],
        "counts": divided.counts(),
        "groups": _groups(divided),
        "encoders": {name: each.value for name, each in encoders.items()},
        "seconds": lengths.seconds,
        "runs": _parameters(asked, folder, divided, probes, encoders, lengths, image, precision, in_memory),
    }
    files.write_json(folder / "plan.json", plan)
    return plan


def _groups(divided: divide.Divided) -> dict[str, int]:
    """Part -> number of groups; a video without a group counts as one."""
    return {
        part: len({divided.together.get(video.path, video.path) for video in videos})
        for part, videos in divided.parts.items()
    }


@dataclass(frozen=True)
class _Encoder:
    """value: as in the parameter. frames and image: of its clips. depth in layers."""

    value: str
    place: str | Path
    frames: int
    image: int
    depth: int

    def load(self):
        from ivcore import weights

        return weights.load(self.place)


def _value(asked: FinetuneRequest, name: str) -> str:
    """The requested encoder, else the box's, else the preset's. ParameterError if it does not exist or is of the other kind."""
    from ivcore.weights import box

    if given := getattr(asked, name):
        value = paths.placed(given, typed=True)
        try:
            found = held(value)
        except UserError as error:
            raise ParameterError(f"--{name} {given}: {error}") from None
        encoder_kinds.check(f"--{name}", value, (name,), found)
        return value
    notebook, preset = RUNS[name]
    return BOX[name] if BOX[name] in box.names() else Spec.of(notebook).load(preset)["encoder"]


def _encoder(asked: FinetuneRequest, name: str) -> _Encoder:
    """Runs the encoder's notebook if it has not finished."""
    from ivcore import weights

    place = value = _value(asked, name)
    if reference := Reference.of(value):
        job = run.named_job(reference)
        if not provenance.is_current(job.folder):
            print(f"{reference} is not there yet: running it first", flush=True)
        with quiet_output(asked.verbose):
            place = run.execute(job, quiet=True)
    elif paths.resolve(value).exists():
        place = paths.resolve(value)
    model = weights.load(place)
    if name == "masked":
        encoder = getattr(model, "encoder", model)
        frames, image, _ = encoder.clip
        return _Encoder(value, place, frames, image, encoder.size.depth)
    tower = getattr(model, "visual", model)
    frames = Spec.of(RUNS[name][0]).load(RUNS[name][1])["num_frames"]
    return _Encoder(value, place, frames, tower.image, len(tower.transformer.resblocks))


def _faster(costs: Mapping[str, list]) -> tuple[str, list]:
    """The precision in which steps take clearly less time, and their cost."""
    steps = {precision: sum(cost.step for cost in both) for precision, both in costs.items()}
    precision = "bf16" if steps.get("bf16", math.inf) < _CLEARLY * steps["fp32"] else "fp32"
    return precision, costs[precision]


def tells_sides(classes: Iterable[str]) -> bool:
    """Whether a class name tells left from right: a mirrored clip would then show another class."""
    return any(_SIDED.search(_WORDS.sub(" ", name)) for name in classes)


def _parameters(asked: FinetuneRequest, folder: Path, divided: divide.Divided, probes: Mapping[str, Probe], encoders, lengths, image: int, precision: str, in_memory: bool) -> dict:  # fmt: skip
    """For each run, the parameters that differ from its preset."""
    videos = [probes[video.path] for video in divided.parts["train"]]
    masked, multimodal = encoders["masked"], encoders["multimodal"]
    rate = sampling_rate(videos, masked.frames)
    common = {"label_sets": paths.short(folder), "image_size": image, "precision": precision}
    common |= {"clip_seconds": _SECONDS, "sampling_rate": rate}
    if not asked.flip or tells_sides(divided.classes):
        common["flip"] = 0.0
    if not in_memory:
        common |= {"in_memory": False, "num_workers": min(8, cores())}
    epochs = {"epochs": lengths.epochs, "warmup_epochs": lengths.epochs / 10}
    joint = {"epochs": lengths.joint_epochs, "warmup_epochs": lengths.joint_epochs / 10}
    frames = {"masked_frames": masked.frames, "multimodal_frames": multimodal.frames}
    return {
        "masked": common | epochs | {"encoder": masked.value, "num_frames": masked.frames},
        "multimodal": common | epochs | {"encoder": multimodal.value, "num_frames": multimodal.frames},
        "coordinated": common | joint | frames | {"stages": min(3, masked.depth, multimodal.depth), "cached_views": lengths.cached_views},
        "scratch": common | epochs | {"num_frames": masked.frames},
    }  # fmt: skip


def sampling_rate(videos: list[Probe], frames: int) -> int:
    """Frames from one frame of a clip to the next in the median video, in [1, 64]: for commands that count frames.
    Clips use the rate of their own video.
    """
    rates = [stride_of(video.frames, video.frames / video.seconds, frames, _SECONDS) if video.seconds else 1 for video in videos]  # fmt: skip
    return int(np.clip(np.median(rates), 1, 64))


def _bytes(videos: Iterable[Probe], image: int) -> float:
    """Estimated size of the decoded videos for clips of `image` pixels, twice: once more with room for crops."""
    side = image / 0.875
    ratios = [(max(v.height, v.width) / max(min(v.height, v.width), 1), v.frames) for v in videos]
    return sum(2 * 3 * frames * side * side * ratio for ratio, frames in ratios)


def _memory() -> float:
    """Bytes that decoded videos may fill."""
    import psutil

    return min(memory.LARGEST, psutil.virtual_memory().available / 2)


def _untrained(asked: FinetuneRequest, folder: Path, plan: dict) -> str:
    """A file with the plan's masked encoder, with random weights of the same shape."""
    from ivcore import rng
    from ivcore.encoders.videomae import MaskedVideoEncoder
    from ivcore.heads.classifier import masked_encoder
    from ivcore.train.checkpoints import save_weights

    file = folder / f"untrained-{asked.seed}.safetensors"
    if not file.exists():
        planned = replace(asked, masked=plan["encoders"]["masked"])
        pretrained = masked_encoder(_encoder(planned, "masked").load())
        rng.seed_all(asked.seed)
        fresh = MaskedVideoEncoder(pretrained.size, **pretrained.options)
        save_weights(fresh, file, fresh.config)
    return paths.short(file)


# ---- the runs


def _run_all(asked: FinetuneRequest, folder: Path, plan: dict) -> dict[str, run.Job]:
    """Makes the runs. Returns what is trained -> its run. RunFailed and StoppedWhenDone as in `execute`."""
    done: dict[str, run.Job] = {}
    for number, what in enumerate(RUNS, 1):
        job = _job(what, asked, folder, plan, done)
        left = clock(plan["seconds"] * (len(RUNS) - len(done)) / len(RUNS))
        there = provenance.is_current(job.folder)
        print(f"[{number}/{len(RUNS)}] {what} {'is done' if there else f'(about {left} left in all)'}", flush=True)
        counting = nullcontext() if there else _spending(folder, f"{plan['signature']} {job.folder.name}")
        with counting, quiet_output(asked.verbose):
            run.execute(job, quiet=True)
        done[what] = job
    return done


@contextmanager
def _spending(folder: Path, name: str) -> Iterator[None]:
    """Adds the seconds of the block to spent.json, also if it is stopped: the final report counts all calls."""
    began = time.monotonic()
    try:
        yield
    finally:
        spent = _spent(folder)
        spent[name] = round(spent.get(name, 0.0) + time.monotonic() - began, 1)
        files.write_json(folder / "spent.json", spent)


def _spent(folder: Path) -> dict[str, float]:
    """A plan's signature and "plan" or the name of a run's folder -> seconds of all calls. Empty if unknown."""
    try:
        found = json.loads((folder / "spent.json").read_text(encoding="utf-8"))
        return {name: float(seconds) for name, seconds in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _job(what: str, asked: FinetuneRequest, folder: Path, plan: dict, done: Mapping[str, run.Job]) -> run.Job:
    notebook, preset = RUNS[what]
    changes = plan["runs"][what] | {"seed": asked.seed}
    if what == "scratch":
        changes["encoder"] = _untrained(asked, folder, plan)
    if what == "coordinated":
        changes |= {f"{name}_encoder": paths.short(done[name].folder) for name in ("masked", "multimodal")}
    return run.jobs(notebook, preset, changes)[0]


# ---- what came out


def counts_table(counts: Mapping[str, Mapping[str, int]], most: int = 40) -> str:
    """Number of videos of each class in each part; only the first `most` classes."""
    from tabulate import tabulate

    names = {name: line if len(line := one_line(name)) <= _WIDE else f"{line[: _WIDE - 1]}…" for name in counts}
    lines = [(names[name], *(of[part] for part in PARTS)) for name, of in counts.items()]
    cut = [(f"… and {len(lines) - most} more", "", "", "")] if len(lines) > most else []
    total = ("all", *(sum(of[part] for of in counts.values()) for part in PARTS))
    return tabulate([*lines[:most], *cut, total], ("class", *PARTS), disable_numparse=True)


def _told(plan: dict, asked: FinetuneRequest) -> str:
    one = plan["runs"]["masked"]
    took = f", about {clock(plan['seconds'])} in all"
    if not asked.epochs and plan["seconds"] > 60 * (minutes := asked.minutes or MINUTES):
        took += (
            f" (more than {minutes:g} minutes, since these are the fewest epochs that are planned; --epochs 1 is less)"
        )
    return (
        f"from {plan['encoders']['masked']} and {plan['encoders']['multimodal']}: {_epochs(one['epochs'])}{took}; clips of "
        f"{one['num_frames']} frames over {one['clip_seconds']:g} seconds, or most of a shorter video, {one['image_size']} pixels\n{_mirrored(asked, plan['counts'])}"
    )


def _mirrored(asked: FinetuneRequest, classes: Iterable[str]) -> str:
    if tells_sides(classes):
        return "clips are not mirrored: class names tell left from right"
    return "clips are mirrored at random (--no-flip: never)" if asked.flip else "clips are not mirrored"


def _replaced(asked: FinetuneRequest, folder: Path) -> list[str]:
    """A line if the folder holds the table and model of another seed; their runs are kept."""
    try:
        seed = json.loads((folder / "table.json").read_text(encoding="utf-8"))["seed"]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    place = paths.short(folder)
    return [] if seed == asked.seed else [f"replaces table and model of seed {seed} in {place}; --out keeps both"]


def _finish(folder: Path, plan: dict, done: Mapping[str, run.Job], asked: FinetuneRequest) -> None:
    mark = plan["signature"]
    spent, metrics = _spent(folder), {what: run_folder.read_metrics(job.folder) for what, job in done.items()}
    for what, job in done.items():  # metrics have the seconds of the last attempt
        metrics[what]["spent"] = spent.get(f"{mark} {job.folder.name}", metrics[what].get("wall_seconds", 0.0))
    seconds = spent.get(f"{mark} plan", 0.0) + sum(each["spent"] for each in metrics.values())
    validation, test = (_held(plan, *part) for part in (("val", "validation"), ("test", "test")))
    table = finetune_table.rows(metrics, test)
    by = finetune_table.measure(table, plan["counts"])
    chosen = finetune_table.best(table, validation, by)
    model = done[chosen].folder / "checkpoints" / "model.safetensors"
    files.write_atomic(folder / "model.safetensors", lambda scratch: shutil.copyfile(model, scratch))
    chance, always = (metrics["masked"].get(name) for name in ("chance", "commonest_class"))
    sure = finetune_table.certainty(table, test, asked.seed)
    levels = f"chance {chance:.3f}" + ("" if always is None else f", always the commonest class: {always:.3f}")
    about = f"{len(plan['counts'])} classes, {levels}; {finetune_table.seen(test, _grouped(plan))}; {sure}"
    told = [
        finetune_table.budgets(plan["runs"]["coordinated"]["epochs"]),
        finetune_table.few_tested(test),
        finetune_table.constant(table, plan["counts"]),
        *finetune_table.why(table, chosen, validation, by),
    ]
    told = [line for line in told if line]
    content = {
        **plan,
        "planned_seconds": plan["seconds"],
        "table": table,
        "model": chosen,
        "chance": chance,
        "commonest_class": always,
        "chosen_by": by,
        "seed": asked.seed,
        "seconds": round(seconds, 1),
    }
    content["folders"] = {what: paths.short(job.folder) for what, job in done.items()}
    files.write_json(folder / "table.json", content)
    text = [f"# {one_line(Path(plan['source']).name)}", "", finetune_table.as_text(table, test, "github"), "", about, "", *(f"- {line}" for line in told), "", *(f"- {note}" for note in plan["notes"])]  # fmt: skip
    files.write_text(folder / "table.md", "\n".join(text).rstrip() + "\n")
    print(f"\n{finetune_table.as_text(table, test, 'simple')}", about, *told, sep="\n")
    place = paths.short(folder)
    print(
        f"{place}/table.md; {clock(seconds)} in all. Then: iv classify VIDEO --model {shown_path(folder / 'model.safetensors')}"
    )


def _grouped(plan: dict) -> bool:
    """Whether any videos are known to belong together."""
    return any(_held(plan, part, part).unit == "groups" for part in PARTS)


def _held(plan: dict, part: str, name: str) -> finetune_table.Held:
    return finetune_table.Held(name, sum(of[part] for of in plan["counts"].values()), plan["groups"][part])


def shown_path(path: Path) -> str:
    text = paths.short(path)
    return shown(text) if re.search(r"\s", text) else text
