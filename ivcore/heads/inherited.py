"""The classification layer of a post-pretrained encoder, cut to the classes of another label set by their names (paper 3.2: from K710 to K400, K600, K700)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ivcore.data.formats import read_class_names
from ivcore.data.labels import kinetics710
from ivcore.data.labels.union import LabelSet, unite
from ivcore.errors import ParameterError
from ivcore.heads import slicing


def inherited(pretrained: nn.Module, place, classes: Sequence[str]) -> nn.Linear:
    """The layer (D -> len(classes)) with the weights that `pretrained`, loaded from `place`, has for these classes. Its own head is cut to them.

    What the rows of its head are called says the run of notebook 12 that it comes from (union/classes.txt); 710 rows from elsewhere are in the
    published order of Kinetics-710. ParameterError where that is not known, or a class is not among them.
    """
    head = slicing.head(pretrained)
    names = _names(place, head.out_features)
    renamed = kinetics710.RENAMED if names == list(kinetics710.CLASSES) else {}
    wanted = LabelSet("encoder", (), class_names=classes)
    rows = unite([wanted], classes=names, renamed=renamed).maps[wanted.name]
    return slicing.head(slicing.cut(pretrained, rows))


def _names(place, rows: int) -> list[str]:
    path = Path(place)
    for folder in (path, *path.parents[:2]):  # a run folder, or a file of its checkpoints/
        file = folder / "union" / "classes.txt"
        if file.is_file() and len(names := read_class_names(file)) == rows:
            return list(names)
    if rows == len(kinetics710.CLASSES):
        return list(kinetics710.CLASSES)
    raise ParameterError(
        f"encoder: nothing says what the {rows} classes of {place} are called; must be a run of notebook 12, or have the {len(kinetics710.CLASSES)} of Kinetics-710"
    )
