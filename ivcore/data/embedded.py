"""The generated sets that stand in for a user's files: the moving shapes where no path is given, Meta-World where "metaworld" is given instead.

`train` says how many training clips there are to be; further fields are those of `shapes.Shapes` or `metaworld.MetaWorld`. Whatever is not
there yet is rendered, so UserError where that is Meta-World and the simulator is not installed.
"""

from pathlib import Path

from ivcore.data import metaworld, shapes

METAWORLD = "metaworld"
NAMES = {"": "moving shapes", METAWORLD: "Meta-World"}  # what a parameter says -> what results are called


def build(name: str, /, **fields) -> Path:
    """The folder of its clips, with train.csv, val.csv, test.csv and classes.txt."""
    module = metaworld if name == METAWORLD else shapes
    return module.build(_config(name, **fields))


def split_files(name: str, splits: list[str], /, **fields) -> dict[str, list[Path]]:
    """split -> the CSVs of its videos. Of the moving shapes, validation uses the clips of both val and test, and testing the further
    ones, as in their label sets. So no notebook makes choices on clips that another one with labels tests on. Captions have splits of
    their own, whose test clips are among the validation clips here.
    """
    if name == METAWORLD:
        folder = build(name, **fields)
        return {split: [folder / f"{split}.csv"] for split in splits}
    parts = shapes.label_sets.PARTS if "test" in splits else ("clips",)
    folder = build(name, **{"parts": parts} | fields)
    held_out = {"val": ("val", "test"), "test": ("further_test",)}
    return {split: [folder / f"{part}.csv" for part in held_out.get(split, (split,))] for split in splits}


def label_sets(name: str, /, **fields) -> Path:
    """The folder of its label sets, as `label_sets.united_sets` reads them; their paths start from the folder above it."""
    module = metaworld.label_sets if name == METAWORLD else shapes.label_sets
    return module.build(_config(name, **fields))


def _config(name: str, /, **fields) -> shapes.Shapes | metaworld.MetaWorld:
    if name != METAWORLD:
        return shapes.Shapes(**fields)
    train = fields.pop("train", None)
    return metaworld.MetaWorld(**fields) if train is None else metaworld.with_training(train, **fields)
