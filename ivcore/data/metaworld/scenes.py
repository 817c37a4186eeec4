"""Which tasks of Meta-World show the same things: there only what happens tells them apart; everywhere else the thing alone does.

Two tasks are in one scene where the simulator's models of them hold the same visible geometry, standing the same way round; the small
thing that the robot handles on a table (a puck in one, a block in the next) and colours do not count, and are painted at random anyway.
What is not listed has a scene of its own: all four buttons, whose box is turned or has a wall before it, and the pegs and the hole,
whose partners are built otherwise. A test reads the groups out of the simulator once more.

This was settled by the models alone, before anything was trained. It does not say that one frame tells nothing: `closes the door` begins
with an open one, and ends as `opens the door` begins.

Pure data: the simulator is not imported.
"""

from ivcore.data.metaworld.tasks import TASKS

SCENES: tuple[tuple[str, ...], ...] = (
    ("assembly", "disassemble"),
    ("coffee-button", "coffee-pull", "coffee-push"),
    ("door-close", "door-open"),
    ("door-lock", "door-unlock"),
    ("drawer-close", "drawer-open"),
    ("faucet-close", "faucet-open"),
    ("hand-insert", "sweep-into"),
    ("handle-press", "handle-pull"),
    ("handle-press-side", "handle-pull-side"),
    ("pick-place", "push", "push-back", "reach", "sweep"),
    ("pick-place-wall", "push-wall", "reach-wall"),
    ("plate-slide", "plate-slide-back"),
    ("plate-slide-back-side", "plate-slide-side"),
    ("stick-pull", "stick-push"),
    ("window-close", "window-open"),
)

MOTION = tuple(task for task in TASKS if any(task in scene for scene in SCENES))
APPEARANCE = tuple(task for task in TASKS if task not in MOTION)
