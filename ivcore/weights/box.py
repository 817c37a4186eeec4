"""The box: small trained models that come with this library, under names such as ivcore/small-masked.

A file has its model in half precision; its config has everything else that the model needs (see `weights.usage`). If two files of the box have
equal tensors, bit for bit, only one stores them: the other's config lists them under BOX. card.json says how each model was made and what
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
MODELS = {  # kind of ivcore.run.encoder_kinds -> the model of the box
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
    """The names of the models in the box, for `weights.load`."""
    there = {file.stem for file in folder().glob("*.safetensors")}
    ordered = [name for name in MODELS.values() if name in there]
    return [f"{OWNER}{name}" for name in (*ordered, *sorted(there - {*ordered}))]


def is_name(value) -> bool:
    """Whether the value has the form of a box model's name; the model need not exist."""
    return isinstance(value, str) and value.startswith(OWNER) and value.count("/") == 1


def place(name: str) -> Path:
    """The file of a name. WeightsError that lists the existing names if it does not exist."""
    file = folder() / f"{name.removeprefix(OWNER)}.safetensors"
    if name in names():
        return file
    if not names():
        raise WeightsError(f"{name}: {NONE}, {folder()} is empty")
    raise WeightsError(f"{name}: not in the box; there are {listed(names())}")


def card() -> dict:
    """The content of card.json: how the models were made, and what they score. WeightsError if there is no box, or it cannot be read."""
    try:
        return json.loads((folder() / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{NONE}: there is no {CARD} in {folder()}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{folder() / CARD}: cannot be read ({error})") from None


def complete(state: State, config: dict, file: Path) -> State:
    """The tensors of a box file, including those that other files store; removes BOX from `config`. Other files are returned unchanged.

    WeightsError if a file with shared tensors is missing or has changed.
    """
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
    """The card as Markdown text and tables, with every number from card.json. WeightsError if one is missing."""
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
