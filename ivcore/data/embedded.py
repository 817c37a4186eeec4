"""The generated sets that stand in for a user's files: the moving shapes where no path is given, another one where its name is given instead.

Which names there are: `set_names`. `train` says how many training clips of the moving shapes or of Meta-World there are to be, and further
fields are those of `shapes.Shapes` or `metaworld.MetaWorld`; the other sets are as large as `iv data NAME` makes them. Whatever is not
there yet is rendered, so UserError where that needs a simulator that is not installed.
"""

import importlib
from pathlib import Path
from types import ModuleType

from ivcore.data import annotations, hybrid, metaworld, rendered, shapes
from ivcore.data.set_names import HYBRID, METAWORLD, names_set, sources_in

SIZED = ("", METAWORLD)  # sets of as many training clips as are asked for
_TITLES = {"": "moving shapes", METAWORLD: "Meta-World"}


def is_generated(name: str) -> bool:
    """Whether a parameter's value stands for a generated set. ParameterError as of `set_names.names_set`."""
    return name == "" or names_set(name)


def title(name: str) -> str:
    """What results on the set are called; of the hybrid with its sources, since those are not the same everywhere."""
    if not name.startswith(HYBRID):
        return _TITLES.get(name, name)
    return f"{HYBRID}:{'+'.join(parts(name))}"


def parts(name: str) -> dict[str, str]:
    """source -> name of its folder, of the hybrid's sources that can be had here, or of a source that is as large as it always is; else {}."""
    if name.startswith(HYBRID):
        config = _hybrid(name)
        lacking = hybrid.left_out(config)
        return {part.name: part.folder.name for part in hybrid.every(config) if part.name not in lacking}
    if name in SIZED:
        return {}
    module = source(name)
    return {name: rendered.folder_of(module, rendered.configure(module)).name}


def build(name: str, /, **fields) -> Path:
    """The folder of its clips, with train.csv, val.csv, test.csv and classes.txt."""
    if name.startswith(HYBRID):
        return hybrid.build(_hybrid(name))
    if name in SIZED:
        module = metaworld if name == METAWORLD else shapes
        return module.build(_config(name, **fields))
    module = source(name)
    return rendered.build(module, rendered.configure(module))


def split_files(name: str, splits: list[str], /, **fields) -> dict[str, list[Path]]:
    """split -> the CSVs of its videos. Of the moving shapes, validation uses the clips of both val and test, and testing the further
    ones, as in their label sets. So no notebook makes choices on clips that another one with labels tests on. Captions have splits of
    their own, whose test clips are among the validation clips here.
    """
    if name:
        folder = build(name, **fields)
        return {split: [folder / f"{split}.csv"] for split in splits}
    parts = shapes.label_sets.PARTS if "test" in splits else ("clips",)
    folder = build(name, **{"parts": parts} | fields)
    held_out = {"val": ("val", "test"), "test": ("further_test",)}
    return {split: [folder / f"{part}.csv" for part in held_out.get(split, (split,))] for split in splits}


def label_sets(name: str, /, **fields) -> Path:
    """The folder of its label sets, as `label_sets.united_sets` reads them; their paths start from the folder above it."""
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
