"""A classifier of the box, made to answer for classes that it may not have been taught."""

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
    """Changes the classification layer of the model of this name to one with a row for each of these classes, in their order.

    Where the model was taught all of them, its own layer is cut to them. Else a new one is fitted to `features()`: what the layer reads of
    clips (N, D), and their labels (N,). The encoder stays as it is. -> what was done, "" where nothing was to do.
    """
    taught, wanted = ([normalise(each) for each in names] for names in (usage.classes_of(name), classes))
    if taught == wanted:
        return ""
    if {*wanted} <= {*taught}:
        slicing.cut(model, [taught.index(each) for each in wanted])
        return f"{name} was taught {len(taught)} classes: its layer is cut to these {len(wanted)}"
    known, labels = features()
    # Features as the norm before the layer gives them: on standardised ones weights would grow that dropout then turns into noise.
    slicing.replace(model, trained_layer(known, labels, len(wanted)))
    return f"{name} was taught other classes: a linear layer for these {len(wanted)} was fitted to {len(known)} training clips"


def read_by_head(model: nn.Module, video: Tensor) -> Tensor:
    """Prepared clips (B, 3, T, H, W) -> (B, D), what the linear layer of a VideoClassifier or UniFormerV2 reads."""
    features = model.features(video)
    return features if isinstance(model.head, nn.Linear) else model.head[0](features)
