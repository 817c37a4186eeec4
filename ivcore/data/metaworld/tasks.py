"""The 50 tasks of Meta-World in words, read from tasks.csv: what moves, what the robot does to it, which task undoes it.

Columns: name, as in Meta-World without the version ("door-open" for "door-open-v3"). thing and does, or_does, or_also_does: words,
{} is "the blue door". bodies: the moving bodies' names in the simulator's model, the painted thing first. undone_by: the task that does
the opposite. The two are played separately and are no exact time reversals: one starts with what the other ends with, but a single
frame may still show how the gripper holds the thing. scene: tasks of one scene show the same things.

Tasks of one scene differ only in what happens; all others can be told by the thing alone. Two tasks are in one scene if their models
in the simulator have the same visible geometry in the same orientation. The small thing that the robot handles on a table (a puck in
one, a block in the next) and colours do not count, since they are painted at random. Tasks without a scene: all four buttons, whose box
is turned or has a wall in front, and the pegs and the hole, whose partners are built differently. The models alone decided this, before
any training; a test reads the groups from the simulator again. A single frame may still tell something: `closes the door` begins with
an open door, and ends as `opens the door` begins.

The simulator is not imported.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

# The robot is red and its fingers are white and turquoise, so things have other colours.
COLOURS = {
    "green": (0.10, 0.65, 0.15),
    "blue": (0.10, 0.25, 0.85),
    "yellow": (0.95, 0.85, 0.10),
    "purple": (0.55, 0.15, 0.75),
    "orange": (1.00, 0.50, 0.05),
}
_OPENINGS = (
    "the robot arm {}",
    "a robot {}",
    "here the robot arm {}",
    "in this clip a robot arm {}",
    "we see how the robot {}",
)


@dataclass(frozen=True)
class Task:
    """A row of tasks.csv; all geometry below one of the `bodies` counts as part of it."""

    name: str
    thing: str
    bodies: tuple[str, ...]
    does: tuple[str, str, str]
    undone_by: str
    scene: str

    @property
    def label(self) -> str:
        """The name of the class, without colour: "opens the door"."""
        return self.does[0].format(f"the {self.thing}")


def _read() -> dict[str, Task]:
    with open(Path(__file__).with_name("tasks.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    verbs = ("does", "or_does", "or_also_does")
    return {
        row["name"]: Task(
            row["name"], row["thing"], tuple(row["bodies"].split()), tuple(row[v] for v in verbs),
            row["undone_by"], row["scene"],
        )
        for row in rows
    }  # fmt: skip


TASKS = _read()
PARTNERS = {name: task.undone_by for name, task in TASKS.items() if task.undone_by}
MOTION = tuple(name for name, task in TASKS.items() if task.scene)
APPEARANCE = tuple(name for name, task in TASKS.items() if not task.scene)


def captions(task: str, colour: str, side: str) -> tuple[str, ...]:
    """Five sentences about a task: "the robot arm opens the blue door on the left". side: "left", "middle" or "right"."""
    place = "" if side == "middle" else f" on the {side}"
    thing = f"the {colour} {TASKS[task].thing}"
    does = [phrase.format(thing) for phrase in TASKS[task].does]
    return tuple(opening.format(does[i % 3]) + place for i, opening in enumerate(_OPENINGS))


def reversed_captions(task: str, colour: str, side: str) -> tuple[str, ...]:
    """The same sentences about the task that undoes this one; () if there is none."""
    return captions(PARTNERS[task], colour, side) if task in PARTNERS else ()
