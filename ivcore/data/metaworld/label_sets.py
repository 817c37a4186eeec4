"""The tasks of Meta-World as a label set, in the files that post-pretraining reads.

    <folder of the episodes>/label_sets-<hash>/motion_classes.txt
    <folder of the episodes>/label_sets-<hash>/metaworld/{train,val,test}.csv, classes.txt

The class is the task; motion are those that `metaworld_scenes` finds in one scene with another.
"""

from pathlib import Path

from ivcore.data import formats
from ivcore.data.metaworld import config as metaworld
from ivcore.data.metaworld.scenes import MOTION
from ivcore.data.metaworld.tasks import TASKS

MARK = "motion_classes.txt"
SET = "metaworld"
VERSION = "810cff58"  # of what is written here: another one whenever that changes


def build(config: metaworld.MetaWorld) -> Path:
    """The set's folder beside the episodes, which are rendered where they are missing.

    Files are written whole, and motion_classes.txt last, as the mark that all are there. UserError as of `metaworld.build`.
    """
    root = metaworld.build(config)
    folder = root / f"label_sets-{VERSION}"
    if (folder / MARK).is_file():
        return folder
    for split in dict.fromkeys(metaworld.SPLITS):
        if (root / f"{split}.csv").is_file():
            videos = formats.read_kinetics_csv(root / f"{split}.csv")
            formats.write_kinetics_csv(folder / SET / f"{split}.csv", videos, root)
    names = {task: TASKS[task].label for task in config.tasks}
    formats.write_class_names(folder / SET / "classes.txt", list(names.values()))
    formats.write_class_names(folder / MARK, [names[task] for task in config.tasks if task in MOTION])
    return folder
