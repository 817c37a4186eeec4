"""Generated sets in place of a user's files: the moving shapes if no path is given, or another set by its name.

`set_names` lists the names. `train` is the number of training clips of the moving shapes or of Meta-World; further fields are those of
`shapes.Shapes` or `metaworld.MetaWorld`. The other sets have the size that `iv data NAME` makes. Missing clips are rendered. UserError if
that needs a simulator that is not installed.
"""

import importlib
from pathlib import Path
from types import ModuleType

from ivcore.data import annotations, hybrid, metaworld, rendered, shapes
from ivcore.data.set_names import HYBRID, METAWORLD, names_set, sources_in

SIZED = ("", METAWORLD)  # sets whose number of training clips can be chosen
_TITLES = {"": "moving shapes", METAWORLD: "Meta-World"}


def is_generated(name: str) -> bool:
    """Whether a parameter's value names a generated set. ParameterError as in `set_names.names_set`."""
    return name == "" or names_set(name)


def title(name: str) -> str:
    """The set's name in results. The hybrid's name includes its sources, because these differ between machines."""
    if not name.startswith(HYBRID):
        return _TITLES.get(name, name)
    return f"{HYBRID}:{'+'.join(parts(name))}"


def parts(name: str) -> dict[str, str]:
    """source -> name of its folder, for the hybrid's sources that are available here, or for a single source of fixed size; else {}."""
    if name.startswith(HYBRID):
        config = _hybrid(name)
        lacking = hybrid.left_out(config)
        return {part.name: part.folder.name for part in hybrid.every(config) if part.name not in lacking}
    if name in SIZED:
        return {}
    module = source(name)
    return {name: rendered.folder_of(module, rendered.configure(module)).name}


def build(name: str, /, **fields) -> Path:
    """Makes the set if it is missing; returns its folder with train.csv, val.csv, test.csv and classes.txt."""
    if name.startswith(HYBRID):
        return hybrid.build(_hybrid(name))
    if name in SIZED:
        module = metaworld if name == METAWORLD else shapes
        return module.build(_config(name, **fields))
    module = source(name)
    return rendered.build(module, rendered.configure(module))


def split_files(name: str, splits: list[str], /, **fields) -> dict[str, list[Path]]:
    """split -> the CSVs of its videos. For the moving shapes, validation uses the clips of both val and test, and testing uses further
    clips, as in their label sets. So no notebook chooses settings on clips that another notebook with labels tests on. Captions have
    other splits, whose test clips are validation clips here.
    """
    if name:
        folder = build(name, **fields)
        return {split: [folder / f"{split}.csv"] for split in splits}
    parts = shapes.label_sets.PARTS if "test" in splits else ("clips",)
    folder = build(name, **{"parts": parts} | fields)
    held_out = {"val": ("val", "test"), "test": ("further_test",)}
    return {split: [folder / f"{part}.csv" for part in held_out.get(split, (split,))] for split in splits}


def label_sets(name: str, /, **fields) -> Path:
    """The folder of the set's label sets, as `label_sets.united_sets` reads them; paths in them start from its parent folder."""
    if name not in SIZED:
        return build(name) / annotations.LABEL_SETS
    module = metaworld.label_sets if name == METAWORLD else shapes.label_sets
    return module.build(_config(name, **fields))


def source(name: str) -> ModuleType:
    """The module of one of `set_names.RENDERED`."""
    return importlib.import_module(f"ivcore.data.{name}")


def _hybrid(name: str) -> hybrid.Hybrid:
    return hybrid.Hybrid(sources=sources_in(name))


def _config(name: str, /, **fields) -> shapes.Shapes | metaworld.MetaWorld:
    module, sort = (metaworld, metaworld.MetaWorld) if name == METAWORLD else (shapes, shapes.Shapes)
    train = fields.pop("train", None)
    return sort(**fields) if train is None else module.with_training(train, **fields)
