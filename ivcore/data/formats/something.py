"""Something-Something V2 as released: a JSON list of clips and a JSON object of label numbers."""

import re
from dataclasses import dataclass

from ivcore.data.formats.text import base_folder, parse_rows
from ivcore.data.formats.tree import Node, read_json, write_json
from ivcore.errors import shown


@dataclass(frozen=True, slots=True)
class SomethingVideo:
    """`text`: "holding potato next to bottle"; `template`: "Holding [something] next to [something]", or None in a test list."""

    id: str
    path: str
    label: int | None
    text: str | None = None
    template: str | None = None
    placeholders: tuple[str, ...] = ()


def read_ssv2_json(path, labels=None, root=None, suffix: str = ".webm") -> list[SomethingVideo]:
    """`[{"id": "78687", "label": …, "template": …, "placeholders": […]}]` of the train, validation and test files.

    labels: path of the labels file, which turns templates into numbers; without it `label` is None, as it is in test lists, which
    have only ids. The video of a clip is `<root or the file's folder>/<id><suffix>`.
    """
    numbers = None
    if labels is not None:
        numbers = {name: index for index, name in enumerate(read_ssv2_labels(labels))}
    base = base_folder(path, root)
    return parse_rows(path, lambda entry: _video(entry, numbers, base, suffix), read_json(path).entries())


def _video(entry: Node, numbers: dict[str, int] | None, base: str, suffix: str) -> SomethingVideo:
    name = entry.get("id").identifier()
    template = entry.get("template", None)
    text = entry.get("label", None)
    return SomethingVideo(
        id=name,
        path=f"{base}/{name}{suffix}",
        label=None if numbers is None or template.value is None else _number(template, numbers),
        text=None if text.value is None else text.text(),
        template=None if template.value is None else template.text(),
        placeholders=tuple(word.text() for word in entry.get("placeholders", []).entries()),
    )


def plain_template(template: str) -> str:
    """The name under which the labels file has a template: without the brackets around its slots."""
    return template.replace("[", "").replace("]", "")


def _number(template: Node, numbers: dict[str, int]) -> int:
    name = plain_template(template.text())
    if name not in numbers:
        template.fail(f"expected a template of the labels file, found {shown(name)}")
    return numbers[name]


def write_ssv2_json(path, videos) -> None:
    def entry(video: SomethingVideo) -> dict:
        if video.template is None and video.text is None:
            return {"id": video.id}
        places = list(video.placeholders)
        return {"id": video.id, "label": video.text, "template": video.template, "placeholders": places}

    write_json(path, [entry(video) for video in videos])


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
