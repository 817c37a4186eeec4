"""Scores of clips: for every view in the published file format, merged over views, and aligned between models (paper
4.3.1).

A test run of VideoMAE writes one file for each rank, `0.txt`, `1.txt`, …: a header line with two accuracies, then a
line for each view, `name [logit, logit, …] label chunk split`, where chunk numbers the temporal views and split the
spatial crops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ivcore.errors import FormatError, ParameterError
from ivcore.metrics.recognition import merge_views, top_k

AT_ONCE = 4096  # clips merged together, which limits the memory for float64
_VIEW = re.compile(r"(.*\S)\s*\[([^\[\]]*)\]\s*(\S+)\s+(\S+)\s+(\S+)")


@dataclass(frozen=True)
class ClipScores:
    """A score for each class and clip: clips N names, labels int64 (N,), scores (N, K)."""

    clips: list[str]
    labels: Tensor
    scores: Tensor

    def __post_init__(self):
        if not len(self.clips) == len(self.labels) == len(self.scores):
            sizes = f"{len(self.clips)} clips, {len(self.labels)} labels, {len(self.scores)} rows of scores"
            raise ParameterError(f"scores: {sizes} do not fit together")
        if len(set(self.clips)) < len(self.clips):
            raise ParameterError("scores: a clip is given twice")

    def top(self, k: int = 1) -> float:
        """Share of clips whose label is among the k best."""
        return top_k(self.scores, self.labels, k)


@dataclass(frozen=True)
class ViewScores:
    """Logits of every view: clips N names, labels int64 (N,), clip int64 (M,) the clip of each view, logits float32 (M,
    K).
    """

    clips: list[str]
    labels: Tensor
    clip: Tensor
    logits: Tensor


def merge(views: ViewScores, how: str = "softmax") -> ClipScores:
    """The mean over each clip's views, float64, after softmax in each view, or of the raw logits ("logits").

    Clips may have different numbers of views. These are the published `prob` and `score` methods.
    """
    if how not in ("softmax", "logits"):
        raise ParameterError(f"how={how!r}: must be softmax or logits")
    merged = torch.empty(len(views.clips), views.logits.shape[1], dtype=torch.float64)
    for clips, rows in _by_number_of_views(views):
        logits = views.logits[rows].double()
        merged[clips] = merge_views(logits) if how == "softmax" else logits.mean(1)
    return ClipScores(views.clips, views.labels, merged)


def _by_number_of_views(views: ViewScores) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of clips (n,) with the same number of views V, and of their views (n, V), in input order."""
    order = views.clip.argsort(stable=True)
    numbers = views.clip.bincount(minlength=len(views.clips))
    starts = numbers.cumsum(0) - numbers
    for number in numbers.unique():
        for clips in (numbers == number).nonzero()[:, 0].split(AT_ONCE):
            yield clips, order[starts[clips, None] + torch.arange(number)]


def align(models: Sequence[ClipScores]) -> list[ClipScores]:
    """All models with the clips in the first model's order. ParameterError if clips, labels or numbers of classes
    differ.
    """
    if not models:
        raise ParameterError("models: expected one or more")
    head = models[0]
    return [head, *(_like(head, other) for other in models[1:])]


def _like(head: ClipScores, other: ClipScores) -> ClipScores:
    order = _order(head.clips, other.clips)
    labels, scores = other.labels[order], other.scores[order]
    _require_same_labels(head, labels)
    if scores.shape != head.scores.shape:
        raise ParameterError(f"models: {head.scores.shape[1]} and {scores.shape[1]} classes cannot be combined")
    return ClipScores(head.clips, labels, scores)


def _order(names: list[str], other_names: list[str]) -> Tensor:
    place = {name: index for index, name in enumerate(other_names)}
    lost = set(names) ^ set(other_names)
    if lost:
        raise ParameterError(f"models: {len(lost)} clips are scored by one only, e.g. {min(lost)}")
    return torch.tensor([place[name] for name in names])


def _require_same_labels(head, labels: Tensor) -> None:
    wrong = (head.labels != labels).nonzero()
    if len(wrong):
        raise ParameterError(f"models: {head.clips[int(wrong[0])]} has another label in each")


def pooled_views(models: Sequence[ViewScores]) -> ViewScores:
    """All models' views together, as the published ensemble script reads them; so a model's weight is its number of
    views.
    """
    head = models[0]
    clip = [head.clip]
    for other in models[1:]:
        order = _order(head.clips, other.clips)
        _require_same_labels(head, other.labels[order])
        if other.logits.shape[1] != head.logits.shape[1]:
            raise ParameterError("models: different numbers of classes cannot be combined")
        clip.append(order.argsort()[other.clip])
    return ViewScores(head.clips, head.labels, torch.cat(clip), torch.cat([model.logits for model in models]))


# --- the file format -------------------------------------------------------------------------------------------------


def read_view_scores(source) -> ViewScores:
    """Reads one file, a list of files, or a folder with `0.txt`, `1.txt`, …, in the order of their numbers.

    If a view occurs again (samplers repeat clips to give every rank as many), only the first is kept. Views are
    identified by (chunk, split); the published code joins the two numbers, so that it takes (1, 11) and (11, 1) for one
    view. FormatError names file and line.
    """
    places: dict[str, int] = {}  # clip -> its number, in the order of first views
    labels: list[int] = []
    views: dict[tuple, tuple[int, np.ndarray]] = {}  # (clip, view) -> number of the clip, logits
    for path in _files(source):
        for number, line in _lines(path):
            name, scores, label, chunk, split = _fields(path, number, line)
            place = places.setdefault(name, len(places))
            if place == len(labels):
                labels.append(label)
            if labels[place] != label:
                raise FormatError(path, number, f"expected label {labels[place]} as before, found {label}")
            key = place, int(chunk), int(split)
            if key in views:
                continue
            views[key] = place, _logits(path, number, scores)
            expected, length = (len(logits) for _, logits in (next(iter(views.values())), views[key]))
            if length != expected:
                raise FormatError(path, number, f"expected {expected} scores as before, found {length}")
    if not views:
        raise FormatError(source, None, "expected at least one view")
    clip, logits = zip(*views.values())
    return ViewScores(list(places), torch.tensor(labels), torch.tensor(clip), torch.from_numpy(np.stack(logits)))


def _fields(path, number: int, line: str) -> tuple[str, str, int, str, str]:
    match = _VIEW.fullmatch(line.strip())
    if match is None:
        raise FormatError(path, number, f"expected `name [score, score, …] label chunk split`, found {line[:60]!r}")
    if not all(re.fullmatch("[0-9]{1,9}", text) for text in match.groups()[2:]):
        raise FormatError(
            path, number, f"expected whole numbers label chunk split, found {line[match.end(2) + 1 :].strip()!r}"
        )
    name, scores, label, chunk, split = match.groups()
    return name, scores, int(label), chunk, split


def _logits(path, number: int, scores: str) -> np.ndarray:
    try:
        values = np.array(json.loads(f"[{scores}]"), dtype=np.float32)
    except (ValueError, TypeError):
        values = np.empty(0)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise FormatError(path, number, "expected finite numbers in the brackets")
    return values


def _lines(path) -> Iterator[tuple[int, str]]:
    """Numbered lines of views; streamed, since the files of a large test set have gigabytes."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            header = file.readline()
            if "[" in header or len(header.replace(",", " ").split()) != 2:
                raise FormatError(path, 1, f"expected a header `top1, top5`, found {header.strip()[:60]!r}")
            yield from ((number, line) for number, line in enumerate(file, 2) if line.strip())
    except OSError as error:
        raise FormatError(path, None, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise FormatError(path, None, "expected UTF-8 text") from None


def _files(source) -> list[Path]:
    if not isinstance(source, str | PathLike):
        return [Path(file) for file in source]
    folder = Path(source)
    if not folder.is_dir():
        return [folder]
    ranks = sorted((int(file.stem), file) for file in folder.glob("*.txt") if file.stem.isdigit())
    if not ranks:
        raise FormatError(folder, None, "expected files 0.txt, 1.txt, …")
    return [file for _, file in ranks]
