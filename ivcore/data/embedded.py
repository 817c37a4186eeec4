"""The generated sets that stand in for a user's files: the moving shapes where nothing is named, Meta-World where it is instead of a path.

`train` says how many training clips there are to be; further fields are those of `shapes.Shapes` or `metaworld.MetaWorld`. Whatever is not
there yet is rendered, so UserError where that is Meta-World and the simulator is not installed.
"""

from pathlib import Path

from ivcore.data import metaworld, metaworld_label_set, shape_label_sets, shapes

METAWORLD = "metaworld"
NAMES = {"": "moving shapes", METAWORLD: "Meta-World"}  # what a parameter says -> what results are called


def build(name: str, /, **fields) -> Path:
    """The folder of its clips, with train.csv, val.csv, test.csv and classes.txt."""
    module = metaworld if name == METAWORLD else shapes
    return module.build(_config(name, **fields))


def label_sets(name: str, /, **fields) -> Path:
    """The folder of its label sets, as `label_sets.united_sets` reads them; their paths start from the folder above it."""
    module = metaworld_label_set if name == METAWORLD else shape_label_sets
    return module.build(_config(name, **fields))


def _config(name: str, /, **fields) -> shapes.Shapes | metaworld.MetaWorld:
    if name != METAWORLD:
        return shapes.Shapes(**fields)
    train = fields.pop("train", None)
    return metaworld.MetaWorld(**fields) if train is None else metaworld.with_training(train, **fields)
