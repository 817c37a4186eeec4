"""The classification layer of a post-pretrained encoder, cut by class names to another label set (paper 3.2: from K710
to K400, K600, K700).
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from torch import nn

from ivcore.data.formats import read_class_names
from ivcore.data.labels import kinetics710
from ivcore.data.labels.union import LabelSet, normalise, unite
from ivcore.errors import ParameterError
from ivcore.heads import slicing
from ivcore.weights import usage


def inherited_head(pretrained: nn.Module, source: str | PathLike, classes: Sequence[str]) -> nn.Linear:
    """The layer (D -> len(classes)) with the weights that `pretrained`, loaded from `source`, has for these classes:
    its head cut to them.

    The names of the head's rows come from the run of notebook 12 (union/classes.txt) or from its file. A head of 710
    rows from elsewhere is taken to be in the published order of Kinetics-710. ParameterError if the names are unknown
    or a class is not among them.
    """
    names = _row_names(Path(source), slicing.head(pretrained).out_features)
    published = [normalise(name) for name in names] == [normalise(name) for name in kinetics710.CLASSES]
    renamed = kinetics710.RENAMED if published else {}
    target = LabelSet("encoder", (), class_names=classes)
    rows = unite([target], classes=names, renamed=renamed).maps[target.name]
    return slicing.head(slicing.cut(pretrained, rows))


def names_beside(source: str | PathLike, rows: int) -> list[str] | None:
    """The names of the head's rows, from the run of notebook 12 that `source` belongs to or from its file; None if
    there are none.
    """
    source = Path(source)
    for folder in (source, *source.parents[:2]):  # a run folder, or a file of its checkpoints/
        file = folder / "union" / "classes.txt"
        if file.is_file() and len(names := read_class_names(file)) == rows:
            return list(names)
    names = usage.classes_of(source)
    return list(names) if len(names) == rows else None


def _row_names(source: Path, rows: int) -> list[str]:
    if names := names_beside(source, rows):
        return names
    if rows == len(kinetics710.CLASSES):
        return list(kinetics710.CLASSES)
    raise ParameterError(
        f"encoder: nothing says what the {rows} classes of {source} are called; must be a run of notebook 12, or have the "
        f"{len(kinetics710.CLASSES)} of Kinetics-710"
    )
