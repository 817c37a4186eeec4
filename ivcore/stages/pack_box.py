"""Puts the trained chain into the box (see `ivcore.weights.box`):

    python -m ivcore.stages.pack_box                    the run 13/small, and the four runs that its encoders come from
    python -m ivcore.stages.pack_box 13/tiny            another one
    python -m ivcore.stages.pack_box RUN RUN …          all five, in any order, by name or folder

Each run must be finished and up to date with its inputs. Weights are rounded to half precision, and tensors that two
files share are stored once. card.json is written last: commands, data, steps, hardware and scores of the runs, and
those of `stages.box_scores`, measured on the rounded weights. `make box` also renders the card into docs/box.md.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ivcore import files, paths, weights
from ivcore.data import embedded, set_names
from ivcore.data.formats import read_class_names
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import UserError
from ivcore.run import encoder_kinds, provenance
from ivcore.run import folder as run_folder
from ivcore.run.parameters import of_result
from ivcore.run.spec import Reference, Spec, brief
from ivcore.stages import box_scores
from ivcore.weights import box, usage

_HALF = torch.finfo(torch.float16)


def main(arguments: list[str]) -> int:
    try:
        card = pack([_folder(run) for run in arguments or ["13/small"]])
    except UserError as error:
        print(f"pack_box: {error}", file=sys.stderr)
        return 2
    print(box.text(card))
    return 0


def pack(runs: list[Path]) -> dict:
    """Writes the models of these runs, and of the runs that their encoders come from, to `box.folder()`. -> the card.

    UserError if a run is not finished or stale, a kind of model is missing or there twice, a number does not fit half
    precision, or the files are too large together.
    """
    chosen = _by_model(_with_encoders(runs))
    scratch = box.folder() / ".packing"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        states: dict[str, dict[str, Tensor]] = {}
        for name, run in chosen.items():
            _write(scratch, name, run, states)
        size = sum(file.stat().st_size for file in scratch.iterdir())
        if size > box.MOST_BYTES:
            raise UserError(
                f"the box would take {size / 1e6:.1f} MB, at most {box.MOST_BYTES / 1e6:.0f} MB are allowed"
            )
        (box.folder() / box.CARD).unlink(missing_ok=True)
        for name in chosen:
            os.replace(scratch / f"{name}.safetensors", box.folder() / f"{name}.safetensors")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    card = {"bytes": size, "models": {f"{box.OWNER}{name}": _facts(name, run) for name, run in chosen.items()}}
    card["scores"] = {"seed": box_scores.SEED, "tolerance": box_scores.TOLERANCE} | _scores([*card["models"]])
    files.write_json(box.folder() / box.CARD, card)
    return card


# ---- which runs


def _folder(run: str) -> Path:
    reference = Reference.of(run)
    folder = reference.folder if reference else paths.resolve(run)
    if not run_folder.is_done(folder):
        raise UserError(f"{run}: that run is not finished (no metrics.json in {paths.short(folder)})")
    return folder


def _with_encoders(runs: list[Path]) -> list[Path]:
    """The runs, the runs that their encoders come from, and so on."""
    every = list(dict.fromkeys(run.resolve() for run in runs))
    for run in every:  # the list grows in the loop
        if not run_folder.is_done(run):
            raise UserError(f"{paths.short(run)}: that run is not finished")
        if changed := provenance.changes(run):
            raise UserError(f"{paths.short(run)} is stale: {'; '.join(changed)}")
        encoders = [paths.resolve(value) for value in _spec(run).encoders(run_folder.read_params(run)).values()]
        every += [each.resolve() for each in encoders if run_folder.is_one(each) and each.resolve() not in every]
    return every


def _by_model(runs: list[Path]) -> dict[str, Path]:
    """Name in the box -> run, in the box's order: models come before those that share tensors with them."""
    found: dict[str, Path] = {}
    for run in runs:
        held = encoder_kinds.of_place(run)
        name = box.MODELS.get(held.kind if held else "")
        if name is None:
            raise UserError(f"{paths.short(run)}: holds no model of the box ({', '.join(box.MODELS)})")
        if name in found:
            raise UserError(
                f"{name}: {paths.short(found[name])} and {paths.short(run)} both hold one; give the other runs alone"
            )
        found[name] = run
    if missing := [name for name in box.MODELS.values() if name not in found]:
        raise UserError(f"no run given for {', '.join(missing)}: give a run of 13, or all five")
    return {name: found[name] for name in box.MODELS.values()}


def _spec(run: Path) -> Spec:
    return Spec.of(run_folder.read_metrics(run)["notebook"])


# ---- files


def _write(folder: Path, name: str, run: Path, states: dict[str, dict[str, Tensor]]) -> None:
    """Writes the file of one model. Tensors of an earlier model in `states` are stored only in that model's file."""
    source = run / "checkpoints" / "model.safetensors"
    state = {key: _half(value, f"{paths.short(source)}: {key}") for key, value in load_file(source).items()}
    with safe_open(str(source), framework="pt") as opened:
        config = json.loads(opened.metadata()["config"])
    shared = []
    for under, other in _PARTS.get(name, {}).items():
        same = [key for key, value in states[other].items() if _equal(state.get(f"{under}{key}"), value)]
        if same:
            file = folder / f"{other}.safetensors"
            shared.append({"file": other, "under": under, "sha256": box.digest(file), "names": same})
    taken = {f"{each['under']}{key}" for each in shared for key in each["names"]}
    if usage.USAGE not in config:
        config |= _usage(run, source)
    if shared:
        config[box.BOX] = shared
    # One entry alone, as in `save_weights`, so that equal models give equal files.
    kept = {key: value for key, value in state.items() if key not in taken}
    metadata = {"config": json.dumps(config)}
    files.write_atomic(folder / f"{name}.safetensors", lambda scratch: save_file(kept, scratch, metadata))
    states[name] = state


_PARTS = {"small-coordinated": {"masked.": "small-masked-classifier", "multimodal.": "small-multimodal-classifier"}}


def _half(value: Tensor, what: str) -> Tensor:
    if not value.is_floating_point():
        return value
    if value.abs().max() > _HALF.max:
        raise UserError(f"{what} holds {value.abs().max():.3g}, more than half precision can ({_HALF.max:.0f})")
    return value.half()


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.dtype == other.dtype and torch.equal(one, other)


def _usage(run: Path, source: Path) -> dict:
    """Usage of the model, for runs saved before files stored it."""
    params, model = run_folder.read_params(run), weights.load(source)
    places = (run, *(paths.resolve(value) for value in _spec(run).encoders(params).values()))  # 13 asks its encoders
    names = [place / "union" / "classes.txt" for place in places if (place / "union" / "classes.txt").is_file()]
    classes = read_class_names(names[0]) if names else ()
    spelling = run / "tokenizer.json"
    tokenizer = Tokenizer(**json.loads(spelling.read_text(encoding="utf-8"))) if spelling.is_file() else None
    return usage.of_run(params, model, classes, tokenizer).saved(model)


# ---- card


def _facts(name: str, run: Path) -> dict:
    """The card's facts about one model, all from the run's own files."""
    params, metrics = run_folder.read_params(run), run_folder.read_metrics(run)
    env = json.loads((run / "env.json").read_text(encoding="utf-8"))
    last = json.loads((run / "train.jsonl").read_text(encoding="utf-8").strip().splitlines()[-1])
    file = box.folder() / f"{name}.safetensors"
    shown = ("device", "commit", "began", "ranks")
    # Runs by name: their folders exist only on this machine.
    encoders = {
        key: brief(value) for key, value in _spec(run).encoders(params).items() if paths.resolve(value).exists()
    }
    return {
        "command": _command(run, env),
        **{key: env[key] for key in shown},
        "steps": last["step"],
        "hours": round(last["seconds"] / 3600, 3),
        "data": _data(run, params, metrics),
        "scores": {key: metrics[key] for key in metrics.get("headline", ()) if not isinstance(metrics[key], str)},
        "params": _in_effect(of_result(params)) | encoders,
        "bytes": file.stat().st_size,
        "sha256": box.digest(file),
    }


def _command(run: Path, env: dict) -> str:
    """The command that makes this run."""
    reference = Reference.of(brief(str(run)))
    if reference is None:
        return env["command"]
    return shlex.join(["iv", "run", reference.spec.number, *reference.arguments[1:]])


def _in_effect(params: dict) -> dict:
    """The parameters without those that the run's augmentation ignores: `crop` does not erase."""
    idle = ("random_erasing",) if params.get("augmentation") == "crop" else ()
    return {name: value for name, value in params.items() if name not in idle}


def _data(run: Path, params: dict, metrics: dict) -> dict:
    """The source of the training data. For the user's lists: their number of lines and the first digits of their
    hashes. For each generated set: its folder in the cache, whose name hashes all its settings, and its number of
    training clips.
    """
    named = (params.get(name, "") for name in ("train_csv", "label_sets", "captions", "data"))
    value = next((value for value in named if set_names.names_set(value)), "")
    source = metrics.get("data") or (embedded.title(value) if value else params.get("data", ""))
    if value.startswith(set_names.HYBRID):
        value = source  # it names the sources that existed
    if sets := embedded.parts(value) if value else {}:
        return {"source": source, "sets": {name: _clips(folder) for name, folder in sets.items()}}
    try:
        inputs = json.loads((run / provenance.INPUTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"source": source, "training_clips": params.get("num_clips")}
    files = [(file, facts) for each in inputs.values() for file, facts in each["files"].items()]
    return {"source": source, "lists": {file: {"lines": f["lines"], "sha256": f["sha256"][:16]} for file, f in files}}


def _clips(folder: str) -> dict:
    listed = paths.cache() / folder / "train.csv"
    return {"set": folder, "training_clips": len(listed.read_text().splitlines()) if listed.is_file() else None}


def _scores(names: list[str]) -> dict:
    """The sets available here, with the numbers of their training and test clips, and the scores of each model on each
    set.
    """
    lacking = {clips: box_scores.lacking(clips) for clips in box_scores.SETS}
    for clips, why in lacking.items():
        if why:
            print(f"not measured on {clips}: {why}", flush=True)
    sets = {clips: counts for clips, counts in box_scores.SETS.items() if not lacking[clips]}
    of = {name: {clips: scores for clips in sets if (scores := box_scores.measure(name, clips))} for name in names}
    return {"sets": {clips: dict(zip(("train", "test"), counts)) for clips, counts in sets.items()}, "of": of}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
