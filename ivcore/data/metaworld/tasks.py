"""The 50 tasks of Meta-World in words, read from tasks.csv: what moves, what the robot does to it, which task undoes it.

Columns: name, Meta-World's own without the version ("door-open" for "door-open-v3"). thing and does, or_does, or_also_does: words,
{} is "the blue door". bodies: names in the simulator's model of what moves, the painted thing first. undone_by: the task that does the
opposite. The two are played in scenes of their own and are no exact time reversals: what is there at the start of one is there
at the end of the other, but a single frame may still tell how the gripper holds it. scene: tasks of one scene show the same things.

Among tasks of one scene only what happens tells them apart; for all others the thing alone does. Two tasks are in one scene if the
simulator's models of them hold the same visible geometry, standing the same way round. The small thing that the robot handles on a
table (a puck in one, a block in the next) and colours do not count, since they are painted at random. A task without a scene is alone:
all four buttons, whose box is turned or has a wall before it, and the pegs and the hole, whose partners are built otherwise. The models
alone decided this, before anything was trained; a test reads the groups from the simulator again. It does not say that one frame tells
nothing: `closes the door` begins with an open one, and ends as `opens the door` begins.

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
