"""Decides which videos are for training, validation and test: no video is in two of these.

The user's lists are kept. Two kinds of videos are left out, counted and reported: those whose file is missing, and
those that a later list also has. A missing list is held out of the training list, video by video. The same videos
are held out in every notebook, so that none tests on videos that another has trained on. If no test list is given,
all notebooks leave the test part alone.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ivcore.data.bad_videos import BadVideos
from ivcore.data.identity import video_keys
from ivcore.errors import UserError

SHARE = 0.2  # of a list is tested on, and as much again is for choices, where no other list is given
MOST = 2000  # videos of either
HELD_OUT = ("test", "val")
FEW = 25  # videos, of which a share drawn by numbers would be far from a fifth


@dataclass(frozen=True)
class Parted:
    """Result of `part`: name -> records, name -> number of missing files, and notes."""

    records: dict[str, list]
    missing: dict[str, int]
    notes: list[str]


def part(
    lists: dict[str, list | None],
    *,
    together: Mapping | None = None,
    further: Sequence = (),
    max_bad: int | float | None = None,
    run_dir=None,
    label: Callable = lambda record: getattr(record, "label", None),
) -> Parted:
    """Returns the lists without overlap. lists: name -> records with `.path`, in the order train, val, test; None
    for a missing list.

    A video of several lists stays in the last of them; see `data.identity` for what counts as the same video. Videos
    with the same number in `together` (path -> group, see `data.groups`) count as one. `assign` chooses the videos
    for a missing list. further: records whose names also count if they show the same videos, such as copies that
    were left out earlier. UserError if more files are missing than `max_bad` allows (see `BadVideos`), or a split is
    left without a video.
    """
    notes, missing, kept = [], {}, {}
    for name, records in lists.items():
        if records is not None:
            kept[name] = _present(records, max_bad, run_dir)
        missing[name] = len(records) - len(kept[name]) if name in kept else 0
        if missing[name]:
            notes.append(f"{name}: {missing[name]} of {len(records)} files are not there and left out")
    keys = video_keys(record.path for records in (*kept.values(), further) for record in records)
    for path in keys:
        if (group := (together or {}).get(os.path.normpath(path))) is not None:
            keys[path] = f"group {group}"
    notes += _leave_out(kept, keys)
    if len(lists) > 1 and any(name not in kept for name in (*lists, "test")):
        notes += _hold_out(kept, list(lists), assign(kept["train"], label, keys, further), keys)
    if empty := [name for name in lists if not kept[name]]:
        raise UserError(
            f"{empty[0]}: no video is left ({'; '.join(notes) or 'its list is empty'}); "
            f"{', '.join(lists)} need videos of their own"
        )
    return Parted({name: kept[name] for name in lists}, missing, notes)


def _present(records: Sequence, max_bad, run_dir) -> list:
    present = [record for record in records if os.path.exists(record.path)]
    if len(present) < len(records):
        bad = BadVideos([record.path for record in records], max_bad, run_dir)
        bad.note_missing()
        bad.refuse_too_many()
    return present


def _leave_out(kept: dict[str, list], keys: dict[str, str]) -> list[str]:
    """Removes videos of later lists from earlier ones. Returns notes."""
    names, notes = list(kept), []
    for place, name in enumerate(names):
        later = {keys[record.path] for other in names[place + 1 :] for record in kept[other]}
        left = [record for record in kept[name] if keys[record.path] not in later]
        if gone := len(kept[name]) - len(left):
            notes.append(f"{name}: {gone} videos are in {' or '.join(names[place + 1 :])} too and left out")
        kept[name] = left
    return notes


def _hold_out(kept: dict[str, list], names: list[str], split_of: dict[str, str], keys: dict[str, str]) -> list[str]:
    """Moves videos from the training list to missing lists. split_of: key -> split, see `assign`. Returns notes."""
    whole, notes = kept["train"], []
    parts = {name: [r for r in whole if split_of[keys[r.path]] == name] for name in HELD_OUT}
    asked = [name for name in HELD_OUT if name in names and name not in kept]
    for name in asked:
        spare = next((other for other in HELD_OUT if other not in asked and parts[other]), None)
        if not parts[name] and spare:
            parts[name], parts[spare] = parts[spare], []
        kept[name] = parts[name]
        notes.append(f"{name}: no list is given, {len(kept[name])} training videos are held out")
    left = [] if "test" in kept or "test" in names or not parts["test"] else ["test"]
    for name in left:
        notes.append(f"{name}: {len(parts[name])} training videos are left to notebooks that test on them")
    gone = {keys[record.path] for name in (*asked, *left) for record in parts[name]}
    kept["train"] = [record for record in whole if keys[record.path] not in gone]
    return notes


def assign(records: Sequence, label: Callable, keys: dict[str, str], further: Sequence = ()) -> dict[str, str]:
    """key of a video (`identity.video_keys`) -> "train", "val" or "test", by a number that its name alone decides.

    Videos that belong together have one key and one number, see `number_together`. The fifth with the lowest numbers
    is the test, the next fifth is for validation, each at most about MOST videos. Labels do not count, because other
    lists of the same videos may have other labels; but a label without a training video takes one back.
    """
    own, numbers = {keys[record.path] for record in records}, {}
    for record in (*records, *further):
        if (key := keys[record.path]) in own:
            numbers.setdefault(key, set()).add(number_by_name(record.path))
    number = {key: number_together(some) for key, some in numbers.items()}
    ordered = sorted(number, key=number.get)
    few = len(ordered) < FEW
    share = min(SHARE, MOST / max(len(ordered), 1))
    bounds = _ranks(len(ordered)) if few else (share, 2 * share)
    split_of = {
        key: "test" if place < bounds[0] else "val" if place < bounds[1] else "train"
        for key, place in ((key, rank if few else number[key]) for rank, key in enumerate(ordered))
    }
    _fill(split_of, ordered)
    labelled: dict = {}
    for record in records:
        labelled.setdefault(label(record), []).append(keys[record.path])
    for videos in labelled.values():
        last = max(videos, key=number.get)
        if all(split_of[key] != "train" for key in videos) and list(split_of.values()).count(split_of[last]) > 1:  # fmt: skip
            split_of[last] = "train"
    return split_of


def _ranks(count: int) -> tuple[int, int]:
    """For small sets: the ranks at which the test part and the validation part end. The first videos are for
    training, the next one is the test, then each part takes a fifth.
    """
    fifth = max(round(SHARE * count), 1)
    test = fifth if count > 1 else 0
    return test, test + (fifth if count > 2 else 0)


def _fill(split_of: dict[str, str], ordered: list[str]) -> None:
    """Gives an empty split one video, from a held-out split that has two or more, else from training."""
    for split in ("train", "test", "val")[: len(ordered)]:
        videos = {name: [key for key in ordered if split_of[key] == name] for name in (*HELD_OUT, "train")}
        if not videos[split]:
            spare = next((keys for name, keys in videos.items() if name != split and len(keys) > 1), None)
            if spare:
                split_of[spare[-1 if split == "train" else 0]] = split


def number_together(numbers: Collection[float]) -> float:
    """A number in [0, 1] for videos that belong together: from the lowest of their numbers, but distributed like the
    number of one video.

    numbers: those of their names, each once. The lowest of n is below x with probability 1 - (1 - x)^n, which is
    returned.
    """
    lowest = min(numbers)
    return lowest if len(numbers) == 1 else 1 - (1 - lowest) ** len(numbers)


def number_by_name(path: str) -> float:
    """A number in [0, 1) from the names of the file and of its folder: the same wherever they are stored."""
    named = "/".join(os.path.normpath(path).split(os.sep)[-2:])
    digest = hashlib.sha256(named.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
