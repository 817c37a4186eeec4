"""Shared parts of the stages that learn from united label sets: the sets, their kinds of classes, and the two
classifiers taught on them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from ivcore import weights
from ivcore.cma import branches
from ivcore.data.labels import kinetics710, union
from ivcore.data.labels.sets import UnitedSets, united_sets
from ivcore.data.views import over_views
from ivcore.errors import ParameterError, one_line, shown
from ivcore.metrics.overlap import accuracy_of, occurring
from ivcore.metrics.recognition import top_k
from ivcore.run.spec import brief
from ivcore.stages import pair_clips
from ivcore.stages.inherited_head import names_beside
from ivcore.stages.other_classes import MOST, answer_for, read_by_head

PAIR = ("masked_encoder", "multimodal_encoder")


def unite_label_sets(folder: str = "", root: str = "", *, class_order: str = "found", **how) -> UnitedSets:
    """`data.labels.sets.united_sets`, with classes in the order "found" or in the published order of "kinetics710";
    prints the notes.
    """
    if class_order == "kinetics710":
        how |= {"classes": kinetics710.CLASSES, "renamed": kinetics710.RENAMED}
    data = united_sets(folder, root, **how)
    print("".join(f"{one_line(line)}\n" for line in data.notes), end="")
    return data


def class_names(data: UnitedSets) -> list[str]:
    """Names of the union's classes, in label order, spelt as in the first set that has them."""
    return list(data.union.classes)


def kind_names(data: UnitedSets) -> dict[str, str] | None:
    """class name, as in `class_names` -> "motion" or "appearance"; None if the kinds are unknown."""
    kinds = {union.normalise(name): kind for name, kind in data.kinds.items()}
    return {name: kinds[one] for name in data.union.classes if (one := union.normalise(name)) in kinds} or None


def class_kinds(data: UnitedSets, labels: Tensor) -> dict[str, list[int]]:
    """Kind -> its classes, for kinds that occur among these labels: "all", and if known "motion" and "appearance"."""
    every = range(len(data.union.classes))
    return occurring({"all": every, "motion": data.motion, "appearance": data.appearance}, labels)


def top1_by_kind(data: UnitedSets, scores: Tensor, labels: Tensor, name: str = "top1") -> dict[str, float]:
    """Top-1 among all classes as `name`, and for the clips of each kind of class as `name`_motion and
    `name`_appearance.

    scores (N, K), labels int (N,).
    """
    kinds = class_kinds(data, labels)
    parts = {f"{name}_{kind}": accuracy_of(scores, labels, rows) for kind, rows in kinds.items() if kind != "all"}
    return {name: top_k(scores, labels)} | parts


def class_balance(data: UnitedSets, scores: Tensor, labels: Tensor) -> dict[str, float]:
    """Numbers that show whether a top-1 is that of a constant answer. scores (N, K), labels int (N,).

    answered_classes: number of classes that are predicted for some clip. commonest_class: the top-1 of always
    predicting the most frequent training class.
    """
    constant = (labels == data.train.commonest).double().mean().item()
    return {"answered_classes": len(scores.argmax(1).unique()), "commonest_class": constant}


def load_pair(run, frames: tuple[int, int], image: int, data: UnitedSets) -> tuple[nn.Module, nn.Module]:
    """The classifiers that the parameters masked_encoder and multimodal_encoder of `run` name, for clips of these
    frames and pixels.

    A model from the box gets a head for the classes of `data` (see `other_classes`), and a message says how.
    ParameterError if an encoder is missing, is of the wrong kind, or is not from the box and was taught other classes.
    """
    places = [run.upstream(name) for name in PAIR]
    if not all(places):
        raise ParameterError(f"{', '.join(PAIR)}: give the two classifiers of notebook 12")
    pair = branches(*map(weights.load, places), frames=frames, image=image)
    for place, model, own in zip(places, pair, (slice(None, frames[0]), slice(frames[0], None))):
        if place in run.from_box:
            features = partial(_features, run, data, model, own)
            print(answer_for(model, place, data.union.classes, features) or f"{place} was taught these classes")
    require_taught(run, pair, data.union.classes)
    return pair


def _features(run, data: UnitedSets, model: nn.Module, own: slice) -> tuple[Tensor, Tensor]:
    """The inputs of a model's classification layer, from its `own` frames of the training clips, and the labels."""
    views = pair_clips.views(data.train.sample(MOST), run.params, run.dir)
    features, labels = over_views(lambda video: read_by_head(model, video[:, :, own]), model, views)
    return features[:, 0], labels


def require_taught(run, pair: Sequence[nn.Module], classes: Sequence[str]) -> None:
    """ParameterError if one of the two classifiers that the parameters of `run` name was taught other classes than
    these.

    Compares the number of classes, and their names in order if the source run stores them.
    """
    expected = [union.normalise(name) for name in classes]
    for name, preset, model in zip(PAIR, ("tiny", "tiny_multimodal"), pair):
        rows = model.num_classes
        taught = [union.normalise(each) for each in names_beside(run.upstream(name), rows) or ()]
        if rows == len(expected) and taught in ([], expected):
            continue
        same = sorted(taught) == sorted(expected)
        what = (
            "these classes in another order" if same else f"{rows} other classes than the {len(expected)} of label_sets"
        )
        names = ("label_sets", "video_root", "class_order")
        given = [f"{key}={run.params[key]}" for key in names if run.params.get(key) not in (None, "", "found")]
        command = shlex.join(["iv", "run", "12", preset, *(word for text in given for word in ("-p", text))])
        value = shown(brief(run.params[name]))
        raise ParameterError(f"{name} = {value}: was taught {what}; run `{command}` first and give its folder")
