"""Reads labelled datasets in the folders of their releases: which files list them, and the names of their classes. `data.mini` writes examples.

The published validation list is the test list; a validation set is held out of the training list.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from ivcore.data import formats
from ivcore.data.formats import OneLabel
from ivcore.errors import ParameterError

SPLITS = "testTrainMulti_7030_splits"  # of HMDB51


def read_release(folder, layout: str, split: int = 1) -> tuple[dict[str, list | None], list[str]]:
    """Returns ({"train": records, "val": None, "test": records}, class names by label) of a dataset in one of LAYOUTS. split: of HMDB51, from 1.
    A dataset for testing only has None as training records.

    UserError that names the file, if it is missing or malformed; and its line, for a label without a name, a video with two labels, or a test
    video listed twice.
    """
    train, test, names = LAYOUTS[layout](Path(folder), split)
    return {"train": train, "val": None, "test": test}, names


def _kinetics(folder: Path, _) -> tuple[list, list, list[str]]:
    """VideoMAE's and UniFormerV2's lists of Kinetics and HACS. Without classes.txt, a class gets the name of its videos' folder."""
    names = _listed(folder)
    train, test = (_read(folder, formats.read_kinetics_csv, f"{part}.csv", names=names) for part in ("train", "val"))
    return train, test, names or _by_folder([*train, *test])


def _something(folder: Path, _) -> tuple[list, list, list[str]]:
    """Folders of frames, with lists of three columns: `path total_frames label`."""
    released, plain = folder / "labels/labels.json", folder / "something-something-v1-labels.csv"
    if released.exists():
        names = formats.read_ssv2_labels(released)
    else:
        names = formats.read_class_names(plain) if plain.exists() else _listed(folder)
    patterns = "{}.csv", "{}.txt", "somesomev1_rgb_{}_split.txt"
    train, test = (
        _read(folder, formats.read_ssv2_list, *(p.format(part) for p in patterns), names=names)
        for part in ("train", "val")
    )
    return train, test, names


def _activitynet(folder: Path, _) -> tuple[list, list, list[str]]:
    """UniFormerV2's lists of labelled segments of longer videos."""
    names = _listed(folder)
    train, test = (_read(folder, formats.read_timed_list, f"{part}.csv", names=names) for part in ("train", "val"))
    return train, test, names


def _hmdb51(folder: Path, split: int) -> tuple[list, list, list[str]]:
    train, test = (formats.read_hmdb_splits(folder / SPLITS, split, part, folder) for part in ("train", "test"))
    return train, test, _by_folder([*train, *test])


def _ucf101(folder: Path, _) -> tuple[list, list, list[str]]:
    """The published flat lists of UCF101, in its folder next to the folders of the unknown sets."""
    place, listed = folder / "ucf101", folder / "ucf101/classInd.txt"
    names = formats.read_ucf_classes(listed) if listed.exists() else _listed(place)
    how = {"names": names, "root": place / "videos"}
    train, test = (
        _read(place, formats.read_kinetics_csv, f"ucf101_{part}_split_1_videos.txt", **how) for part in ("train", "val")
    )
    return train, test, names


def films(layout: str, videos: list) -> dict[str, int]:
    """path -> number of the film that it is cut from, for UCF101, whose file names contain it: v_Archery_g08_c01.avi; else {}."""
    names = (
        [re.match(r"v_.+_g[0-9]+(?=_c[0-9]+\.)", Path(video.path).name) for video in videos]
        if layout == "ucf101"
        else []
    )
    numbers = {name: number for number, name in enumerate(dict.fromkeys(n[0] for n in names if n))}
    return {os.path.normpath(video.path): numbers[name[0]] for video, name in zip(videos, names) if name}


def _zero_shot(folder: Path, _) -> tuple[None, list, list[str]]:
    """Kinetics-400 as the published zero-shot code reads it: a test list and the names of the classes."""
    names = formats.read_class_names(_file(folder, "kinetics_label_map.txt"))
    return None, _read(folder, formats.read_kinetics_csv, "k400_test_tsm.list", names=names), names


LAYOUTS: dict[str, Callable[[Path, int], tuple[list | None, list, list[str]]]] = {
    "kinetics": _kinetics,
    "something": _something,
    "activitynet": _activitynet,
    "hmdb51": _hmdb51,
    "ucf101": _ucf101,
    "zero_shot": _zero_shot,
}


def _file(folder: Path, *files: str) -> Path:
    """The first of these files that exists; ParameterError if none does."""
    found = next((folder / name for name in files if (folder / name).exists()), None)
    if found is None:
        raise ParameterError(
            f"data = {str(folder)!r}: has no {' or '.join(files)}; `iv data mini --list` shows layouts"
        )
    return found


def _read(folder: Path, read: Callable, *files: str, names: list[str], root=None) -> list:
    """The records of the first of these lists that exists. names: of the classes. Only a training list may repeat a video."""
    found = _file(folder, *files)
    return read(found, root, OneLabel(len(names), "the list of classes", once="train" not in found.name))


def _listed(folder: Path) -> list[str]:
    file = folder / "classes.txt"
    return formats.read_class_names(file) if file.exists() else []


def _by_folder(videos: list) -> list[str]:
    """The folder name of each class's videos, as class names; [] if a class has several folders, or two classes share one."""
    folders: dict[int, set[str]] = {}
    for video in videos:
        folders.setdefault(video.label, set()).add(Path(video.path).parent.name)
    names = [" ".join(sorted(folders[label])) for label in sorted(folders)]
    clear = all(len(each) == 1 for each in folders.values()) and len({*names}) == len(names) == max(folders) + 1
    return [name.replace("_", " ") for name in names] if clear else []
