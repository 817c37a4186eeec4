"""Which videos are trained on, which choices are made on, which are tested on: no video in two of these.

Lists that a user gives are kept as they are, but for two things that are counted and said: files that are not there, and videos
that a later list has as well. A list that is not given is held out of the training list, video by video: in every notebook the same
videos, so that none tests on what another has trained on. Where no test list is given, the test's part is left alone by all.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ivcore.data.bad_videos import BadVideos
from ivcore.data.identity import video_keys
from ivcore.errors import UserError, VideoError

SHARE = 0.2  # of a list that is tested on, and as much again that choices are made on, where no other list is given
MOST = 2000  # videos of either
HELD_OUT = ("test", "val")
FEW = 25  # videos, of which a share drawn by numbers would be far from a fifth


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
    further: Sequence = (),
    max_bad: int | float | None = None,
    run_dir=None,
    label: Callable = lambda record: getattr(record, "label", None),
) -> Parted:
    """`lists`: name -> records with `.path`, in the order train, val, test; None for a list that is not given.

    further: records whose names count as well where they are of the same videos, such as copies that have been left out before.
    What is held out of the training list for a list that is not given: see `assign`.
    A video of several lists stays in the last of them. What is the same video: see `data.identity`; what is together (path -> group, see
    `data.groups`) counts as one. UserError where more files are
    missing than `max_bad` allows (see `BadVideos`), or a split is left without a video.
    """
    said, missing = [], dict.fromkeys(lists, 0)
    kept = {
        name: _present(name, records, missing, said, max_bad, run_dir)
        for name, records in lists.items()
        if records is not None
    }
    keys = video_keys(record.path for records in (*kept.values(), further) for record in records)
    groups = {
        path: group for path in keys if (group := (together or {}).get(os.path.normpath(path))) is not None
    }
    keys |= {path: f"group {group}" for path, group in groups.items()}
    _leave_out(kept, keys, said)
    if len(lists) > 1 and any(name not in kept for name in (*lists, "test")):
        _hold_out(kept, list(lists), label, keys, further, said)
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


def _hold_out(
    kept: dict[str, list],
    names: list[str],
    label: Callable,
    keys: dict[str, str],
    further: Sequence,
    said: list[str],
) -> None:
    whole = kept["train"]
    of = assign(whole, label, keys, further)
    parts = {name: [r for r in whole if of[keys[r.path]] == name] for name in ("train", *HELD_OUT)}
    wanted = [name for name in HELD_OUT if name in names and name not in kept]
    left = [name for name in ("test",) if name not in kept and name not in names]
    for name in wanted:
        spare = next((other for other in HELD_OUT if other not in wanted and parts[other]), None)
        if not parts[name] and spare:
            parts[name], parts[spare] = parts[spare], []
        kept[name] = parts[name]
        said.append(f"{name}: no list is given, {len(kept[name])} training videos are held out")
    said += [
        f"{n}: {len(parts[n])} training videos are left to notebooks that test on them"
        for n in left
        if parts[n]
    ]
    gone = {keys[r.path] for name in (*wanted, *left) for r in parts[name]}
    kept["train"] = [r for r in whole if keys[r.path] not in gone]


def assign(
    records: Sequence, label: Callable, keys: dict[str, str], further: Sequence = ()
) -> dict[str, str]:
    """key of a video (`identity.video_keys`) -> "train", "val" or "test", by a number that its name alone decides.

    The fifth with the lowest numbers is tested on, the next fifth chosen on, about MOST of each at most; labels do not count, since other
    lists of the same videos may have other ones. Only a label that had no video to train on takes one back.
    """
    own, number = {keys[record.path] for record in records}, {}
    for record in (
        *records,
        *further,
    ):  # of what belongs together the lowest counts, in whatever order a list has it
        if (key := keys[record.path]) in own:
            number[key] = min(_number(record.path), number.get(key, 1.0))
    ordered = sorted(number, key=number.get)
    if len(ordered) < FEW:
        of = _by_rank(ordered)
    else:
        share = min(SHARE, MOST / len(ordered))
        of = {
            k: "test" if number[k] < share else "val" if number[k] < 2 * share else "train" for k in ordered
        }
    _fill(of, ordered)
    labelled: dict = {}
    for record in records:
        labelled.setdefault(label(record), []).append(keys[record.path])
    for few in labelled.values():
        last = max(few, key=number.get)
        if all(of[key] != "train" for key in few) and list(of.values()).count(of[last]) > 1:
            of[last] = "train"
    return of


def _by_rank(ordered: list[str]) -> dict[str, str]:
    """Of a few videos: one or more to train on, then one to test on, then one to choose on, then fifths."""
    test = max(round(SHARE * len(ordered)), 1) if len(ordered) > 1 else 0
    val = max(round(SHARE * len(ordered)), 1) if len(ordered) > 2 else 0
    return {k: "test" if i < test else "val" if i < test + val else "train" for i, k in enumerate(ordered)}


def _fill(of: dict[str, str], ordered: list[str]) -> None:
    """Gives a part that has none of the videos one, from a held-out part that has two or more, else from training."""
    for part_ in ("train", "test", "val")[: len(ordered)]:
        counts = {name: [key for key in ordered if of[key] == name] for name in (*HELD_OUT, "train")}
        if not counts[part_]:
            spare = next((keys for name, keys in counts.items() if name != part_ and len(keys) > 1), None)
            if spare:
                of[spare[-1 if part_ == "train" else 0]] = part_


def _number(path: str) -> float:
    """In [0, 1), by the names of the file and of the folder it is in: the same wherever these lie."""
    named = "/".join(os.path.normpath(path).split(os.sep)[-2:])
    digest = hashlib.sha256(named.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
