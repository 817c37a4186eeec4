"""Adapts a classifier of the box to classes that it may not have been taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ivcore.data.labels.union import normalise
from ivcore.heads import slicing
from ivcore.heads.probes import trained_layer
from ivcore.weights import usage

MOST = 1000  # clips that a layer is fitted on


def answer_for(
    model: nn.Module, name: str, classes: Sequence[str], features: Callable[[], tuple[Tensor, Tensor]]
) -> str:
    """Replaces the classification layer of the model with this name by one with a row for each of these classes, in
    their order.

    If the model was taught all of them, its own layer is cut to them. Otherwise a new one is fitted to `features()`:
    the layer's inputs for clips (N, D), and their labels (N,). The encoder is not changed. -> what was done, "" if
    nothing.
    """
    taught, wanted = ([normalise(each) for each in names] for names in (usage.classes_of(name), classes))
    if taught == wanted:
        return ""
    if {*wanted} <= {*taught}:
        slicing.cut(model, [taught.index(each) for each in wanted])
        return f"{name} was taught {len(taught)} classes: its layer is cut to these {len(wanted)}"
    known, labels = features()
    # The inputs are used as the norm gives them. On standardised ones weights would grow that dropout turns into noise.
    slicing.replace(model, trained_layer(known, labels, len(wanted)))
    return f"{name} was taught other classes: a linear layer for these {len(wanted)} was fitted to {len(known)} training clips"


def read_by_head(model: nn.Module, video: Tensor) -> Tensor:
    """Prepared clips (B, 3, T, H, W) -> (B, D), the inputs of the linear layer of a VideoClassifier or UniFormerV2."""
    features = model.features(video)
    return features if isinstance(model.head, nn.Linear) else model.head[0](features)
