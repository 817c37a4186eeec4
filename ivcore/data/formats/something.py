"""Something-Something V2 as released: a JSON object of label numbers."""

import re

from ivcore.data.formats.tree import read_json, write_json
from ivcore.errors import shown


def read_ssv2_labels(path) -> list[str]:
    """`{"Approaching something with your camera": "0", …}` -> names in the order of their numbers, which must be 0, 1, 2, …"""
    tree = read_json(path)
    names: dict[int, str] = {}
    for name, node in tree.items():
        text = node.value if isinstance(node.value, str) else str(node.whole())
        if not re.fullmatch("[0-9]{1,9}", text):
            node.fail(f"expected a label number, found {shown(node.value)}")
        if names.setdefault(int(text), name) != name:
            node.fail(f"expected every number once, {text} is also {shown(names[int(text)])}")
    if not names or sorted(names) != list(range(len(names))):
        tree.fail("expected label numbers 0, 1, 2, … without gaps")
    return [names[number] for number in range(len(names))]


def write_ssv2_labels(path, names) -> None:
    write_json(path, {name: str(number) for number, name in enumerate(names)})
