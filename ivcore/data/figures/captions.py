"""Describes a clip in four sentences, from its plan alone: who does what, where, and from which side it is seen."""

import math

from ivcore.data.figures.plan import Plan

# Two ways to say each action.
_DOES = {
    "walk": ("walks", "is walking at an even pace"),
    "walk backwards": ("walks backwards", "steps back without turning round"),
    "run": ("runs", "is running fast"),
    "jump": ("jumps", "bends the knees and leaps up with both feet"),
    "kick": ("kicks", "lifts one leg and kicks the air"),
    "spin kick": ("does a spin kick", "jumps, turns and kicks with a straight leg"),
    "punch": ("punches", "throws a punch with one arm"),
    "cartwheel": ("does a cartwheel", "turns over sideways on the hands"),
    "backflip": ("does a backflip", "leaps and turns over backwards in the air"),
    "roll": ("does a forward roll", "rolls over on the ground and stands up"),
    "crawl": ("crawls", "creeps along the ground on hands and knees"),
    "spin in the air": ("spins in the air", "leaps and whirls round with the legs swung up"),
    "dance": ("dances", "is dancing with arms and legs"),
    "get up from the back": ("gets up from the back", "sits up from the ground and rises to the feet"),
    "lie down on the back": ("lies down on the back", "sinks to the ground and leans back until lying"),
    "get up from the front": ("gets up from the front", "pushes up from the belly and rises to the feet"),
    "lie down on the front": ("lies down on the front", "sinks to hands and knees and then onto the belly"),
}
_GROUNDS = {
    "plain": "plain {} floor",
    "checkered": "{} checkered floor",
    "striped": "{} striped floor",
    "tiled": "{} tiled floor",
    "patchy": "patchy {} floor",
}
_SKIES = {
    "blue": "under a blue sky",
    "grey": "under a grey sky",
    "orange": "at sunset",
    "dark": "at night",
    "white": "under a white sky",
}
_CAMERAS = {
    "still": "the camera stands still",
    "turning": "the camera turns",
    "along": "the camera moves along",
    "round": "the camera circles slowly",
    "nearer": "the camera comes nearer",
}
# The camera sees one side for the whole clip; in the other actions the person turns over or round.
_FACING = ("walk", "walk backwards", "run", "jump", "punch", "crawl", "roll", "dance")


def captions(plan: Plan) -> tuple[str, ...]:
    does, or_does = _DOES[plan.label]
    person, view = plan.person, plan.view
    shirt = _a(f"{'striped ' if person.stripes else ''}{person.shirt} shirt")
    legs = f"{person.trousers} {'trousers' if person.long_trousers else 'shorts'}"
    ground = _a(_GROUNDS[plan.place.ground].format(plan.place.ground_colour))
    seen = _seen(plan)
    has_sky = view.height < 0.4 * view.field  # else the camera looks down, and the picture ends below the horizon
    where = f"{_SKIES[plan.place.sky]} " if has_sky else ""
    return (
        f"a person in {shirt} and {legs} {does}{_way(plan)} on {ground}, {seen}",
        f"someone with {person.hair} hair, {shirt} and {legs} {or_does}",
        f"{where}a person in {person.shirt} and {person.trousers} {or_does} on {ground}",
        f"{_CAMERAS[view.camera]} while a person in {_a(f'{person.shirt} shirt')} {does}, {seen}",
    )


def _a(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def _seen(plan: Plan) -> str:
    degrees = math.degrees(plan.view.height)
    height = "from low down" if degrees < 5 else "from a little above" if degrees < 22 else "from above"
    return f"seen {_side(plan)} and {height}" if plan.label in _FACING else f"seen {height}"


def _side(plan: Plan) -> str:
    quarter = round(plan.view.side / (math.pi / 2)) % 4
    return ("from the front", "from the right", "from behind", "from the left")[quarter]


def _way(plan: Plan) -> str:
    """Words for the direction in the picture in which the person moves."""
    sides = {"from the right": 1, "from the left": -1}
    sideways = sides.get(_side(plan), 0) * plan.cut.motion.travels
    return " to the right" if sideways > 0 else " to the left" if sideways < 0 else ""
