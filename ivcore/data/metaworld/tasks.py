"""The 50 tasks of Meta-World in words: what moves, what the robot does to it, and which task does the opposite.

Pure data and text: the simulator is not imported. Names are Meta-World's own without the version ("door-open" for "door-open-v3").
"""

from dataclasses import dataclass

# The robot is red and its fingers are white and turquoise, so things are painted otherwise.
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
    """bodies: names in the simulator's model of what moves, the painted thing first; all geometry below them counts.

    does: three ways to say it, {} is "the blue door".
    """

    name: str
    thing: str
    bodies: tuple[str, ...]
    does: tuple[str, str, str]

    @property
    def label(self) -> str:
        """The name of the class, without colour: "opens the door"."""
        return self.does[0].format(f"the {self.thing}")


def _task(name: str, thing: str, bodies: str, *does: str) -> Task:
    return Task(name, thing, tuple(bodies.split()), does)


_LISTED = (
    _task("assembly", "ring", "RoundNut", "puts {} onto the peg", "lowers {} over the peg", "fits {} around the peg"),
    _task("basketball", "ball", "bsktball", "dunks {} into the basket", "puts {} through the hoop", "carries {} up to the hoop"),
    _task("bin-picking", "block", "obj", "moves {} from one bin to the other", "picks {} out of the red bin and drops it into the blue one", "carries {} over into the other bin"),
    _task("box-close", "lid", "boxbodytop", "closes the box with {}", "puts {} onto the box", "lays {} over the open box"),
    _task("button-press-topdown", "button", "button", "presses {} from above", "pushes {} down from the top", "comes down on {}"),
    _task("button-press-topdown-wall", "button", "button", "presses {} from above behind the wall", "reaches over the wall and pushes {} down", "comes down on {} behind the bricks"),
    _task("button-press", "button", "button", "presses {} from the front", "pushes {} in", "drives its fingers into {}"),
    _task("button-press-wall", "button", "button", "presses {} from the front behind the wall", "reaches over the wall and pushes {} in", "passes the bricks and presses {}"),
    _task("coffee-button", "button of the coffee machine", "cmbutton", "presses {}", "starts the brewing with {}", "puts its finger on {}"),
    _task("coffee-pull", "mug", "obj", "pulls {} away from the coffee machine", "takes {} from the coffee machine", "drags {} out from under the coffee machine"),
    _task("coffee-push", "mug", "obj", "pushes {} under the coffee machine", "brings {} to the coffee machine", "shoves {} in under the coffee machine"),
    _task("dial-turn", "dial", "dial", "turns {}", "twists {} around", "rotates {} with its fingers"),
    _task("disassemble", "ring", "RoundNut", "takes {} off the peg", "lifts {} from the peg", "pulls {} up and away from the peg"),
    _task("door-close", "door", "door_link", "closes {}", "pushes {} shut", "swings {} closed"),
    _task("door-lock", "lock of the door", "lock_link", "locks {}", "turns {} until it is locked", "bolts the door with {}"),
    _task("door-open", "door", "door_link", "opens {}", "pulls {} open", "swings {} wide open"),
    _task("door-unlock", "lock of the door", "lock_link", "unlocks {}", "turns {} until it is free", "unbolts the door with {}"),
    _task("drawer-close", "drawer", "drawer_link", "closes {}", "pushes {} shut", "slides {} in"),
    _task("drawer-open", "drawer", "drawer_link", "opens {}", "pulls {} open", "slides {} out"),
    _task("faucet-close", "faucet", "faucet_link2", "turns {} off", "closes {}", "shuts the water off at {}"),
    _task("faucet-open", "faucet", "faucet_link2", "turns {} on", "opens {}", "lets the water run from {}"),
    _task("hammer", "hammer", "hammerbody nail_link", "drives the nail in with {}", "hits the nail with {}", "picks up {} and strikes the nail"),
    _task("hand-insert", "block", "obj", "puts {} into the hole", "lowers {} into the hole in the table", "takes {} down into the hole"),
    _task("handle-press", "handle", "handle_link", "presses {} down", "pushes {} down from the front", "forces {} to the ground"),
    _task("handle-press-side", "handle", "handle_link", "presses {} down from the side", "comes from the side and pushes {} down", "leans on {} sideways"),
    _task("handle-pull", "handle", "handle_link", "pulls {} up", "lifts {} from the front", "raises {} from the ground"),
    _task("handle-pull-side", "handle", "handle_link", "pulls {} up from the side", "comes from the side and lifts {}", "hooks {} sideways and raises it"),
    _task("lever-pull", "lever", "lever_link1", "pulls {}", "lifts {} up", "throws {} upward"),
    _task("peg-insert-side", "peg", "peg", "inserts {} sideways", "plugs {} into the hole from the side", "pushes {} into its box"),
    _task("peg-unplug-side", "peg", "plug1", "unplugs {} sideways", "pulls {} out of the hole from the side", "draws {} out of its box"),
    _task("pick-out-of-hole", "block", "obj", "takes {} out of the hole", "lifts {} out of the hole in the table", "brings {} up from the hole"),
    _task("pick-place", "puck", "obj", "picks {} up and holds it in the air", "lifts {} off the table", "grasps {} and carries it up to a place in the air"),
    _task("pick-place-wall", "puck", "obj", "lifts {} over the wall", "carries {} across the wall", "picks {} up and sets it behind the bricks"),
    _task("plate-slide", "plate", "puck_channel", "slides {} into the goal", "pushes {} straight into the net", "shoves {} forward into the goal"),
    _task("plate-slide-back", "plate", "puck_channel", "slides {} out of the goal", "pulls {} straight out of the net", "drags {} back out of the goal"),
    _task("plate-slide-back-side", "plate", "puck_channel", "slides {} sideways out of the goal", "pulls {} sideways out of the net", "drags {} to the side, out of the goal"),
    _task("plate-slide-side", "plate", "puck_channel", "slides {} sideways into the goal", "pushes {} sideways into the net", "shoves {} to the side, into the goal"),
    _task("push", "puck", "obj", "pushes {} forward", "shoves {} away across the table", "moves {} farther away"),
    _task("push-back", "puck", "obj", "pulls {} back", "drags {} toward itself across the table", "moves {} closer to itself"),
    _task("push-wall", "puck", "obj", "pushes {} around the wall", "shoves {} past the bricks", "moves {} along the table behind the wall"),
    _task("reach", "puck", "obj", "reaches past {}", "moves its hand through the air beside {}", "stretches out and leaves {} alone"),
    _task("reach-wall", "puck", "obj", "reaches around the wall past {}", "moves its hand by the bricks beside {}", "stretches out over the wall and leaves {} alone"),
    _task("shelf-place", "block", "obj", "puts {} onto the shelf", "places {} on the board of the shelf", "lifts {} up to the shelf"),
    _task("soccer", "ball", "soccer_ball", "kicks {} into the goal", "shoots {} into the net", "scores with {}"),
    _task("stick-pull", "stick", "stick object", "pulls the thermos with {}", "hooks the thermos with {} and drags it closer", "takes {} and brings the thermos back"),
    _task("stick-push", "stick", "stick object", "pushes the thermos with {}", "shoves the thermos away with {}", "takes {} and drives the thermos off"),
    _task("sweep", "block", "obj", "sweeps {} off the table", "brushes {} over the edge", "wipes {} off to the side"),
    _task("sweep-into", "block", "obj", "sweeps {} into the hole", "brushes {} across the table into the hole", "wipes {} into the opening"),
    _task("window-close", "window", "windowb_a", "closes {}", "slides {} shut", "pushes {} closed"),
    _task("window-open", "window", "windowb_a", "opens {}", "slides {} open", "pushes {} aside until it is open"),
)  # fmt: skip

TASKS: dict[str, Task] = {task.name: task for task in _LISTED}

# Tasks that undo each other. They are played in scenes of their own and are no exact time reversals of each other: what is
# there at the start of one is there at the end of the other, but a single frame may still tell how the gripper holds it.
_PAIRS = (
    ("assembly", "disassemble"),
    ("coffee-push", "coffee-pull"),
    ("door-open", "door-close"),
    ("door-lock", "door-unlock"),
    ("drawer-open", "drawer-close"),
    ("faucet-open", "faucet-close"),
    ("hand-insert", "pick-out-of-hole"),
    ("handle-press", "handle-pull"),
    ("handle-press-side", "handle-pull-side"),
    ("peg-insert-side", "peg-unplug-side"),
    ("plate-slide", "plate-slide-back"),
    ("plate-slide-side", "plate-slide-back-side"),
    ("push", "push-back"),
    ("stick-push", "stick-pull"),
    ("window-open", "window-close"),
)
PARTNERS: dict[str, str] = dict(_PAIRS) | {second: first for first, second in _PAIRS}


def captions(task: str, colour: str, side: str) -> tuple[str, ...]:
    """Five sentences about a task: "the robot arm opens the blue door on the left". side: "left", "middle" or "right"."""
    where = "" if side == "middle" else f" on the {side}"
    thing = f"the {colour} {TASKS[task].thing}"
    does = [phrase.format(thing) for phrase in TASKS[task].does]
    return tuple(opening.format(does[i % 3]) + where for i, opening in enumerate(_OPENINGS))


def reversed_captions(task: str, colour: str, side: str) -> tuple[str, ...]:
    """The same sentences about the task that undoes this one; () where there is none."""
    return captions(PARTNERS[task], colour, side) if task in PARTNERS else ()
