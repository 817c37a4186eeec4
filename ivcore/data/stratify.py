"""Divides a labelled set into training, validation and test, with every class in each part as far as possible.

`ivcore.data.splits` chooses videos by their names alone, the same ones in every notebook and whatever their labels.
In a small set this can leave classes out of the test. Here each class gives a fifth to the test and a fifth to
validation. Names again decide which ones: a video that is added later moves few others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from ivcore.data.splits import MOST, SHARE, number_together
from ivcore.errors import UserError

PARTS = ("train", "val", "test")


def stratify(labels: Sequence[Hashable], units: Sequence[Hashable], numbers: Sequence[float]) -> list[str]:
    """The part of each video: "train", "val" or "test".

    units: videos of one unit stay in one part (clips of one film, for example). numbers: a number in [0, 1) for each
    video, from its name. A unit has that of `number_together`; low numbers are for the test. Every class has a
    training video. A class of one unit is only trained on, one of two units is trained on and tested; from three on
    it is in all parts, if its units are of no other class. UserError if a part would be empty.
    """
    members: dict[Hashable, Counter] = defaultdict(Counter)
    of_unit: dict[Hashable, set[float]] = defaultdict(set)
    for label, unit, each in zip(labels, units, numbers, strict=True):
        members[unit][label] += 1
        of_unit[unit].add(each)
    number = {unit: number_together(some) for unit, some in of_unit.items()}
    ordered = sorted(members, key=lambda unit: (number[unit], str(unit)))
    of_label = {label: [unit for unit in ordered if label in members[unit]] for label in dict.fromkeys(labels)}
    share = min(SHARE, MOST / max(len(labels), 1))
    part: dict[Hashable, str] = {}
    rarest_first = sorted(of_label, key=lambda label: (len(of_label[label]), str(label)))
    for label in rarest_first:
        _deal(label, of_label[label], members, share, part)
    _teach_every_class(of_label, part)
    _fill(ordered, of_label, part, len(labels))
    return [part[unit] for unit in units]


def _deal(label, units: list, members: dict, share: float, part: dict) -> None:
    """Gives the units of one class that have no part yet to the test, to validation, and the rest to training."""
    size = {unit: members[unit][label] for unit in units}
    free = [unit for unit in units if unit not in part]
    kept = 0 if any(part.get(unit) == "train" for unit in units) else 1
    for name, least in (("test", 2), ("val", 3)):
        if len(units) < least:
            continue
        goal = max(1, round(share * sum(size.values())))
        taken = sum(size[unit] for unit in units if part.get(unit) == name)
        while taken < goal and len(free) > kept:
            chosen = next((unit for unit in free if taken + size[unit] / 2 <= goal), None)
            if chosen is None:
                if taken:
                    break
                chosen = min(free, key=size.get)  # of units that are all too large the smallest
            part[chosen] = name
            taken += size[chosen]
            free.remove(chosen)
    part.update(dict.fromkeys(free, "train"))


def _teach_every_class(of_label: dict, part: dict) -> None:
    """A class without a training unit takes its last one back."""
    for units in of_label.values():
        if all(part[unit] != "train" for unit in units):
            part[units[-1]] = "train"


def _fill(ordered: list, of_label: dict, part: dict, count: int) -> None:
    """An empty part takes a unit from training that no class needs there, or one from the other held-out part. count: number of videos."""
    for name in ("test", "val"):
        if name in part.values():
            continue
        needed = {taught[0] for units in of_label.values() if len(taught := _of(part, "train", units)) == 1}
        other = _of(part, "val" if name == "test" else "test", ordered)
        spare = [unit for unit in _of(part, "train", ordered) if unit not in needed] or (
            other if len(other) > 1 else []
        )
        if not spare:
            apart = f", which are {len(ordered)} apart from those that belong together," if len(ordered) < count else ""
            raise UserError(
                f"{count} videos of {len(of_label)} classes{apart} are too few: beside one to train on for each class, there must be one for "
                "choices and one for the test"
            )
        part[spare[0]] = name


def _of(part: dict, name: str, units: list) -> list:
    return [unit for unit in units if part[unit] == name]
