"""The tasks of Meta-World as a label set, in the files that post-pretraining reads.

    <folder of the episodes>/label_sets-<hash>/motion_classes.txt
    <folder of the episodes>/label_sets-<hash>/metaworld/{train,val,test}.csv, classes.txt

The class is the task. Motion classes are the tasks that share a scene with another, see `tasks`.
"""

from pathlib import Path

from ivcore.data import formats
from ivcore.data.metaworld.builder import build as build_metaworld
from ivcore.data.metaworld.config import SPLITS, MetaWorld
from ivcore.data.metaworld.tasks import MOTION, TASKS

MARK = "motion_classes.txt"
SET = "metaworld"
VERSION = "810cff58"  # of the files; change it whenever they change


def build(config: MetaWorld) -> Path:
    """Makes the set, and episodes if they are missing; returns the set's folder beside the episodes.

    Files are written whole; motion_classes.txt is the last and marks the folder as complete. UserError as in `metaworld.build`.
    """
    root = build_metaworld(config)
    folder = root / f"label_sets-{VERSION}"
    if (folder / MARK).is_file():
        return folder
    for split in dict.fromkeys(SPLITS):
        if (root / f"{split}.csv").is_file():
            videos = formats.read_kinetics_csv(root / f"{split}.csv")
            formats.write_kinetics_csv(folder / SET / f"{split}.csv", videos, root)
    names = {task: TASKS[task].label for task in config.tasks}
    formats.write_class_names(folder / SET / "classes.txt", list(names.values()))
    formats.write_class_names(folder / MARK, [names[task] for task in config.tasks if task in MOTION])
    return folder
