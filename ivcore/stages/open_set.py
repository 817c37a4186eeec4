"""Open-set recognition as a stage: evidential training, and how unknown each method finds a clip (paper 4.3.3).

A score is a float, higher for less known clips. Methods are by name: EVIDENCE for the evidential model; SOFTMAX,
OPENMAX, and with dropout ENTROPY and INFORMATION for the same encoder trained with softmax; RANDOM as a control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.data.views import Views, over_views
from ivcore.errors import ParameterError
from ivcore.heads import slicing
from ivcore.heads.unknown import OpenMax, entropy, information, unsure
from ivcore.losses.evidential import annealing, evidential, uncertainty
from ivcore.metrics import open_set
from ivcore.stages.classify import order_frames
from ivcore.stages.evenly import evenly
from ivcore.stages.other_classes import read_by_head

EVIDENCE, SOFTMAX, OPENMAX, RANDOM = "evidence", "softmax", "OpenMax", "random"
ENTROPY, INFORMATION = "dropout entropy", "dropout information"
POINTS = 7  # maximum, of an openness curve


class EvidentialLoss:
    """loss(model, batch, generator) for `train`: `losses.evidential` of clips shown in `frame_order`.

    kind, evidence, divergence and calibration: as in `losses.evidential`. The weight of the last two grows with
    training progress: see `losses.evidential.annealing`, with `epochs` in all, of which `rising` are those of "step".
    """

    def __init__(self, frame_order: str, epochs: float, *, annealing: str, start: float, rising: float, **how):
        self.frame_order, self.how, self.epochs = frame_order, how, epochs
        self.grows = {"kind": annealing, "start": start, "steps": rising, "epochs": epochs}
        self.weight = 0.0

    def at(self, share: float) -> None:
        self.weight = annealing(share * self.epochs, **self.grows)

    def __call__(self, model, batch, generator):
        video = order_frames(model.prepare(batch["video"]), self.frame_order, generator)
        loss, terms = evidential(model(video).float(), batch["label"], weight=self.weight, **self.how)
        return loss, {name: term.mean().detach() for name, term in terms.items()} if len(terms) > 1 else {}


@dataclass(frozen=True)
class OpenSetOutputs:
    """Outputs for clips: logits (N, K), means over V views as published; features (N, V, D), the inputs of the last
    layer; labels (N,).
    """

    logits: Tensor
    features: Tensor
    labels: Tensor

    @property
    def right(self) -> Tensor:
        """bool (N,), for clips of known classes."""
        return self.logits.argmax(1) == self.labels


def answers(
    model: nn.Module, views: Mapping[str, Views], frame_order: str, num_workers=0, precision="fp32"
) -> dict[str, OpenSetOutputs]:
    """set of clips -> the model's answers."""
    layer, found = slicing.head(model), {}
    for name, each in views.items():
        read = lambda video: read_by_head(model, order_frames(video, frame_order))  # noqa: E731
        features, labels = over_views(read, model, each, num_workers=num_workers, precision=precision)
        found[name] = OpenSetOutputs(_linear(layer, features).mean(1), features, labels)
    return found


def clip_of(views: Views, number: int) -> np.ndarray:
    """The first view (T, H, W, 3) of the clip with this number, from 0, among the scored ones."""
    return views[views.paths.index(views.scored[number])]["views"][0]


def examples(views: Views, count: int) -> list[tuple[np.ndarray, int]]:
    """(first view, label) of `count` clips, evenly spread over the set, without unreadable ones."""
    items = evenly(views, count)
    return [(item["views"][0], int(item["label"])) for item in items if isinstance(item, dict)]


def _linear(layer: nn.Linear, features: Tensor) -> Tensor:
    with torch.no_grad():
        return F.linear(features, layer.weight.float().cpu(), layer.bias.float().cpu())


def dropout_passes(layer: nn.Linear, features: Tensor, rate: float, passes: int, seed: int) -> Tensor:
    """Probabilities (N, K, T) of T = `passes` passes with dropout before the layer, from features (N, V, D): softmax of
    the mean over views.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(passes):
        kept = torch.rand(features.shape, generator=generator) >= rate
        found.append(_linear(layer, features * kept / (1 - rate)).mean(1).softmax(1))
    return torch.stack(found, dim=2)


def by_evidence(found: Mapping[str, OpenSetOutputs], evidence: str) -> dict[str, Tensor]:
    """Set -> uncertainty (N,)."""
    return {name: uncertainty(each.logits, evidence) for name, each in found.items()}


def by_softmax(
    model: nn.Module, found: Mapping[str, OpenSetOutputs], *, rate: float, passes: int, seed: int
) -> dict[str, dict[str, Tensor]]:
    """Method -> set -> scores (N,), for a model trained with softmax. `found` has its training clips as "train". rate:
    of dropout; 0 leaves out the two dropout methods.

    If a class has too few correctly classified training clips, OPENMAX is left out, and a message says so.
    """
    by = {SOFTMAX: {name: unsure(each.logits) for name, each in found.items()}}
    try:
        fitted = OpenMax(found["train"].logits, found["train"].labels)
        by[OPENMAX] = {name: fitted(each.logits) for name, each in found.items()}
    except ParameterError as error:
        print(f"OpenMax is left out: {error}")
    if rate:
        layer = slicing.head(model)
        drawn = {name: dropout_passes(layer, each.features, rate, passes, seed) for name, each in found.items()}
        measures = {ENTROPY: entropy, INFORMATION: information}
        by |= {method: {name: measure(each) for name, each in drawn.items()} for method, measure in measures.items()}
    return by


def at_random(found: Mapping[str, OpenSetOutputs], seed: int) -> dict[str, Tensor]:
    """Set -> random scores (N,), for the chance level."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(len(each.labels), generator=generator) for name, each in found.items()}


def measures(
    scores: Mapping[str, Tensor], unknown: Sequence[str], share: float, as_published: bool = False
) -> dict[str, float]:
    """Measures of one method: the thresholds that keep `share` of the training and of the validation clips, and the
    share of test clips that the first keeps. For each set of `unknown` clips: AUC over all thresholds, AUC at either
    threshold, area under the precision-recall curve, and FPR at 95 % TPR.

    as_published: reproduces the errors of the published evaluator, see `metrics.open_set`.
    """
    threshold = open_set.threshold_keeping(scores["train"], share, ascending=as_published)
    of_val = open_set.threshold_keeping(scores["val"], share)
    found = {"threshold": threshold, "kept": (scores["test"] <= threshold).double().mean().item()}
    for name in unknown:
        pair = scores["test"], scores[name]
        found |= {
            f"auc_{slug(name)}": open_set.auroc(*pair),
            f"auc_at_threshold_{slug(name)}": open_set.auroc(*pair, threshold),
            f"auc_at_val_threshold_{slug(name)}": open_set.auroc(*pair, of_val),
            f"aupr_{slug(name)}": open_set.aupr(*pair),
            f"fpr95_{slug(name)}": open_set.fpr_at_tpr(*pair, nearest=as_published),
        }
    return found


def told_apart(scores: Mapping[str, Tensor], right: Tensor, unknown: Sequence[str]) -> dict[str, float]:
    """AUC of each set of `unknown` clips against the correctly classified known test clips (`right`, bool (N,)), and
    against the misclassified ones; an empty side is left out.
    """
    sides = {"right": scores["test"][right], "wrong": scores["test"][~right]}
    return {
        f"auc_{slug(name)}_against_{side}": open_set.auroc(known, scores[name])
        for name in unknown
        for side, known in sides.items()
        if len(known)
    }


def flat(table: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Flat metrics of a run from method -> measures: all measures of EVIDENCE under their own names; AUC, accuracy and
    `kept` of the other methods.
    """
    result = dict(table[EVIDENCE])
    for method, row in table.items():
        if method != EVIDENCE:
            named = (name for name in row if name.startswith(("auc", "accuracy", "kept")))
            result |= {f"{name}_{slug(method)}": row[name] for name in named}
    return result


def slug(name: str) -> str:
    """A set's or method's name as part of a metric's name."""
    return name.replace(" ", "_").lower()


def openness_curve(
    scores: Mapping[str, Tensor],
    found: Mapping[str, OpenSetOutputs],
    name: str,
    threshold: float,
    draws: int,
    seed: int,
) -> list:
    """[(openness, macro-F1 of each draw)] as more classes of the unknown set `name` are added; "unknown" counts as one
    more class.

    scores: set -> scores of one method; found: the answers of its model.
    """
    test, strange = found["test"], found[name]
    classes, known = strange.labels.unique().tolist(), test.logits.shape[1]
    clips = scores["test"], test.logits.argmax(1), test.labels
    unknown = scores[name], strange.logits.argmax(1), strange.labels
    rng, curve = np.random.default_rng(seed), []
    for number in np.unique(np.linspace(0, len(classes), min(POINTS, len(classes) + 1)).round().astype(int)).tolist():
        drawn = [
            rng.choice(classes, number, replace=False).tolist()
            for _ in range(draws if 0 < number < len(classes) else 1)
        ]
        values = [open_set.open_f1(clips, unknown, threshold, known, each) for each in drawn]
        curve.append((open_set.openness(known, number), values))
    return curve
