"""Navigation instructions: R2R's episodes for continuous environments, as VLN-CE (Krantz et al. 2020) publishes them."""

import gzip
import json
import math
import zlib
from dataclasses import dataclass, replace

from ivcore.data.formats.text import parse_rows
from ivcore.data.formats.tree import Node, read_json, read_json_text
from ivcore.errors import FormatError
from ivcore.files import write_atomic

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Episode:
    """An instruction, its start, and the path that it describes. Positions: x, height, z in metres; heading: radians from the x axis towards z.

    scene: file or name of the floor plan. goal, reference (the path's corners): None and () if a test set withholds them. actions of the
    published expert: 0 stop, 1 step, 2 left, 3 right; () if unknown.
    """

    name: str
    scene: str
    start: Place
    heading: float
    goal: Place | None
    instruction: str
    reference: tuple[Place, ...] = ()
    actions: tuple[int, ...] = ()


def read_vln_episodes(path, truth=None) -> list[Episode]:
    """`{"episodes": [{"episode_id": 1, "scene_id": "mp3d/…/….glb", "start_position": [x, y, z], "start_rotation": [x, y, z, w], "goals": [{"position": […]}],
    "instruction": {"instruction_text": "…"}, "reference_path": [[x, y, z], …]}]}`, in gzip or plain. A test set has no goals and no reference_path.

    truth: the file `…_gt.json.gz` beside it; its positions become the reference. FormatError names an episode that it lacks.
    """
    episodes = parse_rows(path, _episode, _tree(path).get("episodes").entries())
    if truth is None:
        return episodes
    known = read_vln_truth(truth)
    for each in episodes:
        if each.name not in known:
            raise FormatError(truth, None, f"expected the episode {each.name!r} of {path}")
    return [replace(each, reference=known[each.name][0], actions=known[each.name][1]) for each in episodes]


def read_vln_truth(path) -> dict[str, tuple[tuple[Place, ...], tuple[int, ...]]]:
    """`{"1": {"locations": [[x, y, z], …], "actions": [2, 1, …, 0]}}`: episode -> (positions, actions) of the published expert."""
    return {name: (_places(node.get("locations")), tuple(map(_action, node.get("actions").entries()))) for name, node in _tree(path).items()}  # fmt: skip


def write_vln_episodes(path, episodes) -> None:
    _write_packed(path, {"episodes": [_entry(each) for each in episodes]})


def write_vln_truth(path, episodes) -> None:
    entries = {
        each.name: {"locations": [*map(_rounded, each.reference)], "actions": [*each.actions]} for each in episodes
    }
    _write_packed(path, entries)


def _episode(node: Node) -> Episode:
    told = node.get("instruction").get("instruction_text").text().strip()
    goals = list(node.get("goals", None).entries()) if node.get("goals", None).value is not None else []
    reference = node.get("reference_path", None)
    return Episode(
        node.get("episode_id").identifier(),
        node.get("scene_id").text(),
        _place(node.get("start_position")),
        _heading(node.get("start_rotation")),
        _place(goals[0].get("position")) if goals else None,
        told or node.get("instruction").fail("expected an instruction_text that says something"),
        () if reference.value is None else _places(reference),
    )


def _numbers(node: Node, count: int, expected: str) -> list[float]:
    entries = list(node.entries())
    if len(entries) != count:
        node.fail(f"expected {expected}, found {len(entries)} numbers")
    return [each.number("a number", -math.inf) for each in entries]


def _place(node: Node) -> Place:
    return tuple(_numbers(node, 3, "x, height and z"))


def _places(node: Node) -> tuple[Place, ...]:
    return tuple(map(_place, node.entries())) or node.fail("expected at least one position")


def _action(node: Node) -> int:
    return node.value if node.whole() <= 3 else node.fail(f"expected an action from 0 to 3, found {node.value}")


def _heading(node: Node) -> float:
    """The heading in radians from a rotation (x, y, z, w) about the vertical; the rotation (0, 0, 0, 1) looks along -z."""
    x, y, z, w = _numbers(node, 4, "a rotation x, y, z, w")
    turn = 2 * math.atan2(y, w)
    if abs(x) > 1e-3 or abs(z) > 1e-3 or abs(math.hypot(y, w) - 1) > 1e-2:
        node.fail("expected a rotation of length 1 about the vertical, [0, y, 0, w]")
    return math.atan2(-math.cos(turn), -math.sin(turn))


def _entry(each: Episode) -> dict:
    turn = math.atan2(-math.cos(each.heading), -math.sin(each.heading))
    entry = {
        "episode_id": int(each.name) if each.name.isdigit() else each.name,
        "scene_id": each.scene,
        "start_position": _rounded(each.start),
        "start_rotation": [0.0, math.sin(turn / 2), 0.0, math.cos(turn / 2)],
        "instruction": {"instruction_text": each.instruction},
    }
    goal = {} if each.goal is None else {"goals": [{"position": _rounded(each.goal)}]}
    return entry | goal | ({"reference_path": [*map(_rounded, each.reference)]} if each.reference else {})


def _rounded(place: Place) -> list[float]:
    """The position rounded to a tenth of a millimetre."""
    return [round(each, 4) for each in place]


def _tree(path) -> Node:
    """The JSON of a file, in gzip or plain."""
    try:
        with open(path, "rb") as file:
            packed = file.read()
    except OSError as error:
        raise FormatError(path, None, f"cannot be read: {error.strerror or error}") from None
    if packed[:2] != b"\x1f\x8b":
        return read_json(path)
    try:
        return read_json_text(path, gzip.decompress(packed).decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise FormatError(path, None, f"expected JSON in gzip: {error}") from None


def _write_packed(path, value) -> None:
    packed = gzip.compress(json.dumps(value).encode(), mtime=0)
    write_atomic(path, lambda scratch: scratch.write_bytes(packed))
