"""A captioned dataset in the folder of its release: which files list it, and by which sentences its test videos are searched. `data.mini` writes an
example of each.

What choices are made on is the published validation list, or held out of the training list where there is none or where it is the one to test on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ivcore.data import formats, splits
from ivcore.data.captions.sets import CaptionedSet
from ivcore.data.formats import CaptionedVideo
from ivcore.errors import ParameterError, UserError, one_line

MSRVTT_SPLITS = {"train": "train", "val": "validate", "test": "test"}
SEVERAL = ("msvd", "vatex")  # where every caption of a test video is searched for
Parts = dict[str, list[CaptionedVideo] | None]


def released_sets(
    folder, layout: str, names: Iterable[str], *, captioning: bool = False, max_bad=None, run_dir=None
) -> list[CaptionedSet]:
    """The videos of the splits with these names (train, val, test), of a dataset in one of LAYOUTS. No video is in two of them, see `splits.part`.

    captioning: parted as captions are tested, where that is another way (CAPTIONING).

    Videos are looked for by their names, in `videos` or anywhere below the folder. UserError that names the file for one that is not there or not as it
    must be.
    """
    folder, asked = Path(folder), list(names)
    found = (LAYOUTS | CAPTIONING if captioning else LAYOUTS)[layout](folder)
    files = video_files(folder)
    lists = {name: videos and [placed(video, files) for video in videos] for name, videos in found.items()}
    parted = splits.part(lists, label=lambda record: None, max_bad=max_bad, run_dir=run_dir)
    print("".join(f"{one_line(line)}\n" for line in parted.notes), end="")
    return [_set(parted.records[name], folder.name, parted.missing[name]) for name in asked]


def _set(records: list[CaptionedVideo], source: str, missing: int) -> CaptionedSet:
    queries = [next(iter(record.captions), "") for record in records]
    return CaptionedSet(records, queries, [()] * len(records), source, missing)


def video_files(folder: Path) -> dict[str, str]:
    """What a video may be called, with its ending and without, -> its path, of all files in `videos`, or anywhere below the folder."""
    found: dict[str, str] = {}
    for place, folders, names in os.walk(folder / "videos" if (folder / "videos").is_dir() else folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            found.setdefault(name, path)
            found.setdefault(os.path.splitext(name)[0], path)
    return found


def placed(video: CaptionedVideo, files: dict[str, str]) -> CaptionedVideo:
    """With the path of its file where there is one; ActivityNet's are called v_ID or ID."""
    path = next((files[name] for name in (video.id, video.id.removeprefix("v_")) if name in files), video.path)
    return replace(video, path=path)


def _msrvtt(folder: Path) -> Parts:
    """JSFusion's 1,000 test videos with one sentence each, the other 9,000 to train on."""
    videos, tested = _there(folder, "MSRVTT_data.json"), _there(folder, "MSRVTT_JSFUSION_test.csv")
    listed = formats.read_msrvtt_json(videos)
    rows = {"train": _there(folder, "MSRVTT_train.9k.csv"), "test": tested}
    parts = {name: formats.in_split(listed, formats.read_msrvtt_csv(file), file) for name, file in rows.items()}
    return {"train": parts["train"], "val": None, "test": parts["test"]}


def _msrvtt_of_file(folder: Path) -> Parts:
    """The split that the release itself names: 6,513 videos to train on, 497 to choose on, 2,990 to test on, each with its twenty sentences."""
    file = _there(folder, "MSRVTT_data.json")
    listed = formats.read_msrvtt_json(file)
    parts = {name: [video for video in listed if video.split == said] for name, said in MSRVTT_SPLITS.items()}
    if empty := [MSRVTT_SPLITS[name] for name, videos in parts.items() if not videos]:
        raise UserError(
            f"{file}: no video has the split {' or '.join(empty)}; release = msrvtt_1ka takes the lists beside it"
        )
    return parts


def _msrvtt_all_sentences(folder: Path) -> Parts:
    """The videos of the lists for retrieval, each with its twenty sentences."""
    listed = formats.read_msrvtt_json(_there(folder, "MSRVTT_data.json"))
    captions = {video.id: video.captions for video in listed}
    parts = _msrvtt(folder)
    return parts | {"test": [replace(video, captions=captions[video.id]) for video in parts["test"]]}


def _msvd(folder: Path) -> Parts:
    videos = formats.read_msvd_captions(_there(folder, "raw-captions.pkl"))
    return {name: formats.of_ids(videos, _there(folder, f"{name}_list.txt")) for name in ("train", "val", "test")}


def _lsmdc(folder: Path) -> Parts:
    files = {
        "train": "LSMDC16_annos_training.csv",
        "val": "LSMDC16_annos_val.csv",
        "test": "LSMDC16_challenge_1000_publictect.csv",
    }
    return {name: _clips(_there(folder, file)) for name, file in files.items()}


def _clips(file: Path) -> list[CaptionedVideo]:
    """The clips of a table of LSMDC; a clip may have several rows, a sentence each."""
    told: dict[str, list[str]] = {}
    for row in formats.read_lsmdc_table(file):
        told.setdefault(row.clip, []).append(row.sentence)
    return [CaptionedVideo(clip, f"{file.parent}/{clip}.avi", tuple(texts)) for clip, texts in told.items()]


def _activitynet(folder: Path) -> Parts:
    files = {"train": ("train.json", "train_ids.json"), "test": ("val_1.json", "val_ids.json")}
    parts = {
        name: formats.of_ids(formats.read_paragraphs(_there(folder, captions)), _there(folder, ids))
        for name, (captions, ids) in files.items()
    }
    return {"train": parts["train"], "val": None, "test": parts["test"]}


def _didemo(folder: Path) -> Parts:
    return {
        name: formats.of_ids(formats.read_didemo(_there(folder, f"{name}_data.json")), _there(folder, f"{name}_list.txt"))
        for name in ("train", "val", "test")
    }  # fmt: skip


def _vatex(folder: Path) -> Parts:
    """The published code tests on some of the validation captions, and validates on the same."""
    names = ("training", "validation")
    captions = {n: formats.read_vatex(_there(folder, f"vatex_{n}_v1.0.json", f"vatex_{n}_v1.0_ceph.json")) for n in names}  # fmt: skip
    train = formats.of_ids(captions["training"], _there(folder, "train_list.txt"))
    return {"train": train, "val": None, "test": formats.of_ids(captions["validation"], _there(folder, "test_list.txt"))}  # fmt: skip


LAYOUTS: dict[str, Callable[[Path], Parts]] = {
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
}  # which other videos captions are tested on


def _there(folder: Path, *names: str) -> Path:
    """The first of these files that is there."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise ParameterError(f"data = {str(folder)!r}: has no {' or '.join(names)}; `iv data mini --list` shows layouts")
