"""Which videos are trained on, which choices are made on, which are tested on: no video in two of these.

Lists that a user gives are kept as they are, but for two things that are counted and said: files that are not there, and videos
that a later list has as well. A list that is not given is held out of the training list, video by video.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ivcore.data.clips import BadVideos
from ivcore.data.identity import video_keys
from ivcore.errors import UserError, VideoError

SHARE = 0.2  # of a training list that is held out where no other list is given


@dataclass(frozen=True)
class Parted:
    """What `part` makes of the lists: name -> records, name -> how many of the list are not there, and what was done, in words."""

    records: dict[str, list]
    missing: dict[str, int]
    said: list[str]


def part(
    lists: dict[str, list | None],
    *,
    together: Mapping[str, int] | None = None,
    share: float = SHARE,
    max_bad: int | float | None = None,
    run_dir=None,
    label: Callable = lambda record: getattr(record, "label", None),
) -> Parted:
    """`lists`: name -> records with `.path`, in the order train, val, test; None for a list that is not given.

    Of a list that is not given a `share` of the training list's videos is held out, of each label alike and by the videos' names alone.
    A video of several lists stays in the last of them. What is the same video: see `data.identity`; what is together (path -> group, see
    `data.groups`) counts as one. UserError where more files are
    missing than `max_bad` allows (see `clips.BadVideos`), or a split is left without a video.
    """
    said, missing = [], dict.fromkeys(lists, 0)
    kept = {
        name: _present(name, records, missing, said, max_bad, run_dir)
        for name, records in lists.items()
        if records is not None
    }
    keys = video_keys(record.path for records in kept.values() for record in records)
    groups = {
        path: group for path in keys if (group := (together or {}).get(os.path.normpath(path))) is not None
    }
    keys |= {path: f"group {group}" for path, group in groups.items()}
    _leave_out(kept, keys, said)
    for name in lists:
        if name not in kept:
            kept["train"], kept[name] = hold_out(kept["train"], share, label, keys)
            said.append(f"{name}: no list is given, {len(kept[name])} training videos are held out")
    empty = [name for name in lists if not kept[name]]
    if empty:
        raise UserError(
            f"{empty[0]}: no video is left ({'; '.join(said) or 'its list is empty'}); "
            f"{', '.join(lists)} need videos of their own"
        )
    return Parted({name: kept[name] for name in lists}, missing, said)


def _present(name: str, records: Sequence, missing: dict, said: list[str], max_bad, run_dir) -> list:
    there = [record for record in records if os.path.exists(record.path)]
    if missing_here := len(records) - len(there):
        bad = BadVideos([record.path for record in records], max_bad, run_dir)
        for path in sorted({record.path for record in records} - {record.path for record in there}):
            bad.note(VideoError(path, "there is no such file"))
        bad.refuse_too_many()
        missing[name] = missing_here
        said.append(f"{name}: {missing_here} of {len(records)} files are not there and left out")
    return there


def _leave_out(kept: dict[str, list], keys: dict[str, str], said: list[str]) -> None:
    names = list(kept)
    for place, name in enumerate(names):
        taken = {keys[record.path] for other in names[place + 1 :] for record in kept[other]}
        left = [record for record in kept[name] if keys[record.path] not in taken]
        if len(left) < len(kept[name]):
            also = " or ".join(names[place + 1 :])
            said.append(f"{name}: {len(kept[name]) - len(left)} videos are in {also} too and left out")
        kept[name] = left


def hold_out(
    records: Sequence, share: float, label: Callable, keys: dict[str, str] | None = None
) -> tuple[list, list]:
    """(records to keep, records held out): a `share` of the videos of each label, at least one of two.

    keys: what `identity.video_keys` says of the paths. Where no label has two videos, one video is held out of all.
    """
    keys = video_keys(record.path for record in records) if keys is None else keys
    first: dict = {}
    for record in records:
        first.setdefault(keys[record.path], record)
    by_label: dict = {}
    for key, record in first.items():
        by_label.setdefault(label(record), []).append(key)
    order = {key: _shuffled(record.path) for key, record in first.items()}
    chosen = set()
    for few in by_label.values():
        number = max(round(share * len(few)), 1) if len(few) > 1 else 0
        chosen.update(sorted(few, key=order.get)[:number])
    if not chosen and len(first) > 1:
        chosen = {min(first, key=order.get)}
    held = [keys[record.path] in chosen for record in records]
    return [r for r, out in zip(records, held) if not out], [r for r, out in zip(records, held) if out]


def _shuffled(path: str) -> str:
    """An order that does not follow names, and is the same wherever the folder lies."""
    named = "/".join(os.path.normpath(path).split(os.sep)[-2:])
    return hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()
