"""Reads captioned datasets in the folders of their releases: which files list each split, and which sentences are the queries of the test
videos. `data.mini` writes an example of each.

Validation uses the published validation list. If there is none, or if it serves as the test list, videos are held out of the training list.
If the stage chooses nothing on them, none are held out. A list that no split needs is not read; neither it nor its videos need exist.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from ivcore.data import formats, splits
from ivcore.data.captions.sets import CaptionedSet
from ivcore.data.formats import CaptionedVideo
from ivcore.errors import ParameterError, UserError, one_line

MSRVTT_SPLITS = {"train": "train", "val": "validate", "test": "test"}
Lists = dict[str, Callable[[], list[CaptionedVideo]] | None]  # split -> its reader; None if it is not published


def released_sets(
    folder, layout: str, names: Iterable[str], *, chooses: bool = True, captioning: bool = False, max_bad=None, run_dir=None
) -> dict[str, CaptionedSet]:  # fmt: skip
    """The videos of the splits `names` (train, val, test) of a dataset in one of LAYOUTS. No video is in two splits, see `splits.part`.

    chooses: whether the stage chooses something on val; if not, no val is held out of the training list. captioning: use the splits for
    captioning, where these differ (CAPTIONING).

    Videos are found by name, in `videos` or anywhere below the folder. UserError that names the file, for a missing or malformed one.
    """
    folder = Path(folder)
    known = (LAYOUTS | CAPTIONING if captioning else LAYOUTS)[layout](folder)
    asked = [name for name in names if known[name] or chooses]
    held_out = any(known[name] is None for name in asked)
    files = video_files(folder)
    lists = {name: known[name] and [placed(video, files) for video in known[name]()]
             for name in known if name in asked or (held_out and name == "train")}  # fmt: skip
    parted = splits.part(lists, label=lambda record: None, max_bad=max_bad, run_dir=run_dir)
    print("".join(f"{one_line(line)}\n" for line in parted.notes), end="")
    return {name: _set(parted.records[name], folder.name, parted.missing[name]) for name in asked}


def _set(records: list[CaptionedVideo], source: str, missing: int) -> CaptionedSet:
    queries = [next(iter(record.captions), "") for record in records]
    return CaptionedSet(records, queries, [()] * len(records), source, missing)


def video_files(folder: Path) -> dict[str, str]:
    """File name, with and without its ending -> path, for all files in `videos`, or anywhere below the folder."""
    found: dict[str, str] = {}
    for place, folders, names in os.walk(folder / "videos" if (folder / "videos").is_dir() else folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            found.setdefault(name, path)
            found.setdefault(os.path.splitext(name)[0], path)
    return found


def placed(video: CaptionedVideo, files: dict[str, str]) -> CaptionedVideo:
    """The video with the path of its file, if found; ActivityNet's files are called v_ID or ID."""
    path = next((files[name] for name in (video.id, video.id.removeprefix("v_")) if name in files), video.path)
    return replace(video, path=path)


def _msrvtt(folder: Path) -> Lists:
    """JSFusion's 1,000 test videos with one sentence each, and the other 9,000 for training."""
    listed = _msrvtt_listed(folder)

    def of_list(name: str) -> list[CaptionedVideo]:
        file = _there(folder, name)
        return formats.in_split(listed(), formats.read_msrvtt_csv(file), file)

    return {"train": lambda: of_list("MSRVTT_train.9k.csv"), "val": None, "test": lambda: of_list("MSRVTT_JSFUSION_test.csv")}  # fmt: skip


def _msrvtt_listed(folder: Path) -> Callable[[], list[CaptionedVideo]]:
    """A function that reads all videos, once."""
    return cache(lambda: formats.read_msrvtt_json(_there(folder, "MSRVTT_data.json")))


def _msrvtt_of_file(folder: Path) -> Lists:
    """The release's own split: 6,513 training, 497 validation and 2,990 test videos, each with its twenty sentences."""
    listed = _msrvtt_listed(folder)

    def said(split: str) -> list[CaptionedVideo]:
        if not (videos := [video for video in listed() if video.split == split]):
            file = folder / "MSRVTT_data.json"
            raise UserError(f"{file}: no video has the split {split}; release = msrvtt_1ka takes the lists beside it")
        return videos

    return {name: partial(said, split) for name, split in MSRVTT_SPLITS.items()}


def _msrvtt_all_sentences(folder: Path) -> Lists:
    """The splits for retrieval, but each video with its twenty sentences."""
    lists, listed = _msrvtt(folder), _msrvtt_listed(folder)

    def tested() -> list[CaptionedVideo]:
        captions = {video.id: video.captions for video in listed()}
        return [replace(video, captions=captions[video.id]) for video in lists["test"]()]

    return lists | {"test": tested}


def _msvd(folder: Path) -> Lists:
    videos = cache(lambda: formats.read_msvd_captions(_there(folder, "raw-captions.pkl")))
    return {name: partial(_of_ids, videos, folder, f"{name}_list.txt") for name in ("train", "val", "test")}


def _of_ids(videos: Callable[[], list[CaptionedVideo]], folder: Path, ids: str) -> list[CaptionedVideo]:
    return formats.of_ids(videos(), _there(folder, ids))


def _lsmdc(folder: Path) -> Lists:
    files = {
        "train": "LSMDC16_annos_training.csv",
        "val": "LSMDC16_annos_val.csv",
        "test": "LSMDC16_challenge_1000_publictect.csv",
    }
    return {name: lambda file=file: _clips(_there(folder, file)) for name, file in files.items()}


def _clips(file: Path) -> list[CaptionedVideo]:
    """The clips of an LSMDC table; a clip may have several rows, one sentence each."""
    told: dict[str, list[str]] = {}
    for row in formats.read_lsmdc_table(file):
        told.setdefault(row.clip, []).append(row.sentence)
    return [CaptionedVideo(clip, f"{file.parent}/{clip}.avi", tuple(texts)) for clip, texts in told.items()]


def _activitynet(folder: Path) -> Lists:
    def told(captions: str, ids: str) -> list[CaptionedVideo]:
        return _of_ids(lambda: formats.read_paragraphs(_there(folder, captions)), folder, ids)

    return {"train": partial(told, "train.json", "train_ids.json"), "val": None, "test": partial(told, "val_1.json", "val_ids.json")}  # fmt: skip


def _didemo(folder: Path) -> Lists:
    def told(name: str) -> list[CaptionedVideo]:
        return _of_ids(lambda: formats.read_didemo(_there(folder, f"{name}_data.json")), folder, f"{name}_list.txt")

    return {name: partial(told, name) for name in ("train", "val", "test")}


def _vatex(folder: Path) -> Lists:
    """The published code tests on a part of the validation captions, and validates on the same part."""

    def told(name: str, ids: str) -> list[CaptionedVideo]:
        files = (f"vatex_{name}_v1.0.json", f"vatex_{name}_v1.0_ceph.json")
        return _of_ids(lambda: formats.read_vatex(_there(folder, *files)), folder, ids)

    return {"train": partial(told, "training", "train_list.txt"), "val": None, "test": partial(told, "validation", "test_list.txt")}  # fmt: skip


LAYOUTS: dict[str, Callable[[Path], Lists]] = {
    "msrvtt": _msrvtt,
    "msvd": _msvd,
    "lsmdc": _lsmdc,
    "activitynet": _activitynet,
    "didemo": _didemo,
    "vatex": _vatex,
}

CAPTIONING = {
    "msrvtt": _msrvtt_of_file,
    "msrvtt_1ka": _msrvtt_all_sentences,
}  # layouts whose splits for captioning differ from those for retrieval


def _there(folder: Path, *names: str) -> Path:
    """The first of these files that exists; ParameterError if none does."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise ParameterError(f"data = {str(folder)!r}: has no {' or '.join(names)}; `iv data mini --list` shows layouts")
