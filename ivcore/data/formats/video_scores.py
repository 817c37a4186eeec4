"""Scores of a video classifier, as released for temporal localization ("external scores"): {"ID": [score of each class]}.

The scores of a video may be a list in a list, and the whole object may be under "results" (CUHK's file for ActivityNet).
"""

from ivcore.data.formats.text import parse_rows
from ivcore.data.formats.tree import Node, read_json


def read_video_scores(path, classes: int | None = None) -> dict[str, tuple[float, ...]]:
    """Video id -> its scores, one a class, in the order of the class numbers. FormatError if a video has another number than `classes`."""
    tree = read_json(path)
    listed = tree.get("results", None) if isinstance(tree.value, dict) else tree
    listed = tree if listed.value is None else listed
    return dict(parse_rows(path, lambda name, node: (name, _scores(node, classes)), listed.items()))


def _scores(node: Node, classes: int | None) -> tuple[float, ...]:
    entries = list(node.entries())
    if len(entries) == 1 and isinstance(entries[0].value, list):
        entries = list(entries[0].entries())
    if not entries or classes not in (None, len(entries)):
        node.fail(f"expected {classes or 'some'} scores, one a class, found {len(entries)}")
    return tuple(entry.number("a score", minimum=float("-inf")) for entry in entries)
