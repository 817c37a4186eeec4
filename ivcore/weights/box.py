"""The box: small trained models that come with this library, under names such as ivcore/small-masked.

A file holds its model in half precision; what else the model needs is in its config (see `weights.usage`). Tensors that another file of
the box has bit for bit the same are stored there alone: the config lists them under BOX. card.json tells how each model was made and what
it scores.

$IVCORE_BOX moves the box to another folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from ivcore.weights.accounting import State, WeightsError, listed

OWNER, BOX, CARD = "ivcore/", "shared_in_box", "card.json"
MODELS = {  # kind, as ivcore.run.encoder_kinds has them -> the model of the box
    "autoencoder": "small-masked",
    "video_text": "small-multimodal",
    "masked_classifier": "small-masked-classifier",
    "multimodal_classifier": "small-multimodal-classifier",
    "coordinated": "small-coordinated",
}
NONE = "this installation carries no weights"
_DAMAGED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SafetensorError)
MOST_BYTES = 20 * 10**6  # of all files together


def folder() -> Path:
    return Path(os.environ.get("IVCORE_BOX") or Path(__file__).parents[1] / "box")


def names() -> list[str]:
    """The names of the models that are there, as `weights.load` takes them."""
    there = {file.stem for file in folder().glob("*.safetensors")}
    ordered = [name for name in MODELS.values() if name in there]
    return [f"{OWNER}{name}" for name in (*ordered, *sorted(there - {*ordered}))]


def is_name(value) -> bool:
    """Whether it is written like a model of the box, whether that is there or not."""
    return isinstance(value, str) and value.startswith(OWNER) and value.count("/") == 1


def place(name: str) -> Path:
    """The file of a name; WeightsError with the names there are."""
    file = folder() / f"{name.removeprefix(OWNER)}.safetensors"
    if name in names():
        return file
    if not names():
        raise WeightsError(f"{name}: {NONE}, {folder()} is empty")
    raise WeightsError(f"{name}: not in the box; there are {listed(names())}")


def card() -> dict:
    """The content of card.json: how the models were made, and what they score. WeightsError where there is no box."""
    try:
        return json.loads((folder() / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{NONE}: there is no {CARD} in {folder()}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{folder() / CARD}: cannot be read ({error})") from None


def complete(state: State, config: dict, file: Path) -> State:
    """The tensors of a file of the box with those that it shares; `config` loses what is the box's. Of other files nothing changes."""
    try:
        for shared in config.pop(BOX, ()):
            other = file.with_name(f"{shared['file']}.safetensors")
            if not other.is_file() or digest(other) != shared["sha256"]:
                raise WeightsError(
                    f"{file}: shares tensors with {other.name}, which must lie beside it as it was packed; pack both anew"
                )
            tensors = load_file(other)
            state = state | {f"{shared['under']}{name}": tensors[name] for name in shared["names"]}
    except _DAMAGED as error:
        raise WeightsError(
            f"{file}: its config does not say which tensors it shares, under {BOX} ({error!r})"
        ) from None
    return state


def digest(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def text(card: dict) -> str:
    """The card in words and tables (Markdown), every number from card.json. WeightsError where one is not there."""
    try:
        return _text(card)
    except _DAMAGED as error:
        raise WeightsError(f"{folder() / CARD}: is damaged ({error!r}); pack the box anew") from None


def _text(card: dict) -> str:
    rows = [
        (
            f"`{name}`",
            f"`{of['command']}`",
            of["steps"],
            of["hours"],
            of["device"],
            of["commit"],
            f"{of['bytes'] / 1e6:.1f}",
        )
        for name, of in card["models"].items()
    ]
    models = _table(("model", "made by", "steps", "hours", "on", "commit", "MB"), rows)
    scores = [(f"`{name}`", _data_in_words(of["data"]), _numbers(of["scores"])) for name, of in card["models"].items()]
    again = card["scores"]
    clips = ", ".join(f"{of['test']} {name} ({of['train']} to learn from)" for name, of in again["sets"].items())
    quick = [(f"`{name}`", which, _numbers(some)) for name, of in again["of"].items() for which, some in of.items()]
    return "\n\n".join(
        (
            f"{len(rows)} models in half precision, {card['bytes'] / 1e6:.1f} MB together.",
            models,
            "What the runs scored, on the data that they name:",
            _table(("model", "data", "scores"), scores),
            f"Measured on the packed files, on clips that no model was trained on: {clips}. Tests measure them again, to within {again['tolerance']}.",
            _table(("model", "clips", "scores"), quick),
        )
    )


def _data_in_words(data: dict) -> str:
    if "sets" in data:
        sets = [f"{of['training_clips']} of {name} ({of['set']})" for name, of in data["sets"].items()]
        return f"{data['source']}, training clips: {', '.join(sets)}"
    if "lists" not in data:
        return f"{data['source']}, {data['training_clips']} training clips"
    listed = [f"{name} ({facts['lines']} lines, {facts['sha256']})" for name, facts in data["lists"].items()]
    return f"{data['source']}: {', '.join(listed)}"


def _numbers(scores: dict) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in scores.items())


def _table(names: tuple, rows: list[tuple]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (names, ("---",) * len(names), *rows))
