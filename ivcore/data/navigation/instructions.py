"""Writes instructions for a path: the doors to take, things to pass, and the thing to stop at, in several wordings."""

from __future__ import annotations

import numpy as np

from ivcore.data.navigation.plans import Door, FloorPlan, Landmark

LEAVE = ("leave the room through the {}", "go through the {}", "take the {}", "walk out of the {}")
THEN = ("then go through the {}", "go on through the {}", "then take the {}", "next use the {}")
PASS = ("pass the {thing} on your {side}", "walk past the {thing} on your {side}", "keep the {thing} on your {side}")
STOP = ("and stop at the {}", "then wait by the {}", "walk to the {} and stop there", "finally stop next to the {}")
NEAR = 1.5  # metres within which a thing is passed


def instruct(plan: FloorPlan, way: np.ndarray, goal: Landmark, rng: np.random.Generator) -> str:
    """way: (n, 2), places of the path, close enough that no room is skipped. Doors are named by colour, or by a side that identifies them."""
    parts: list[str] = []
    rooms = [plan.room_at(place) for place in way]
    changes = [k for k in range(1, len(way)) if rooms[k] != rooms[k - 1]]
    for number, (begin, end) in enumerate(zip([0, *changes], [*changes, len(way) - 1])):
        passed = _passed(plan, way[begin : end + 1], rooms[begin], goal)
        if passed and rng.random() < 0.6:
            parts.append(str(rng.choice(PASS)).format(thing=passed[0].words, side=passed[1]))
        if end in changes:
            door = next(door for door in plan.doors if set(door.rooms) == {rooms[begin], rooms[end]})
            side = number and _side_alone(plan, rooms[begin], door, way[begin])
            named = f"door on your {side}" if side and rng.random() < 0.3 else f"{door.colour} door"
            parts.append(str(rng.choice(THEN if number else LEAVE)).format(named))
    return ", ".join([*parts, str(rng.choice(STOP)).format(goal.words)])


def _passed(plan: FloorPlan, way: np.ndarray, room: int, goal: Landmark) -> tuple[Landmark, str] | None:
    """The thing of the room that the path passes closest, and its side; None if it passes none."""
    near = []
    for thing in plan.landmarks:
        apart = thing.middle - way
        at = int(np.linalg.norm(apart, axis=1).argmin())
        if thing.room == room and thing != goal and 0 < at < len(way) - 1 and np.linalg.norm(apart[at]) < NEAR:
            ahead = way[at + 1] - way[at - 1]
            across = ahead[0] * apart[at][1] - ahead[1] * apart[at][0]
            near.append((float(np.linalg.norm(apart[at])), thing, "right" if across > 0 else "left"))
    return min(near, key=lambda each: each[0])[1:] if near else None


def _side_alone(plan: FloorPlan, room: int, door: Door, entered) -> str:
    """left or right, if no other door is on that side for someone who enters at `entered`; else ""."""
    others = [each for each in plan.doors_of(room) if np.linalg.norm(each.middle - entered) > 0.8]
    into = plan.rooms[room].middle - np.asarray(entered)
    into = np.where(np.abs(into) == np.abs(into).max(), into, 0.0)  # along the nearest axis

    def side(each: Door) -> str:
        apart = each.middle - entered
        across = into[0] * apart[1] - into[1] * apart[0]
        straight = abs(float(into @ apart)) / np.linalg.norm(into)
        return "" if abs(across) / np.linalg.norm(into) < 0.5 * straight else "right" if across > 0 else "left"

    wanted = side(door)
    return wanted if wanted and [side(each) for each in others].count(wanted) == 1 else ""
