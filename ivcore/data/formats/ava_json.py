"""AVA and AVA-Kinetics in AlphAction's JSON: pictures with true boxes in pixels, and a detector's boxes on these pictures.

{"images": [{"id": 0, "movie": "-5KQ66BBWC4", "timestamp": 902, "width": 1920, "height": 1080}],
 "annotations": [{"image_id": 0, "bbox": [x, y, width, height], "action_ids": [12, 80]}]}

[{"image_id": 0, "bbox": [x, y, width, height], "score": 0.98}]
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from ivcore.data.formats.ava import PEOPLE, AvaBox, PersonBox, read_ava_csv
from ivcore.data.formats.text import parse_rows, read_text
from ivcore.data.formats.tree import Node, read_json, write_json


@dataclass(frozen=True, slots=True)
class AvaImage:
    """A keyframe; width and height in pixels, timestamp in seconds of the whole video."""

    movie: str
    timestamp: float
    width: int
    height: int


def read_ava_truth(path, known: Collection[int] | None = None) -> list[AvaBox]:
    """The boxes of AVA's CSV or of AlphAction's JSON. known: the valid action_ids; others are malformed."""
    return _read_annotations(path, known) if _is_json(path) else read_ava_csv(path, known)


def read_ava_images(path) -> dict[int, AvaImage]:
    """id -> picture, from AlphAction's JSON."""

    def image(node: Node) -> tuple[int, AvaImage]:
        size = (node.get(name).whole(1) for name in ("width", "height"))
        stamp = node.get("timestamp").number("a timestamp in seconds")
        return node.get("id").whole(), AvaImage(node.get("movie").identifier(), stamp, *size)

    return dict(parse_rows(path, image, read_json(path).get("images").entries()))


def read_ava_detections(path, images: dict[int, AvaImage] | None = None) -> list[PersonBox]:
    """A detector's boxes on keyframes: JSON that names `images` by id, or CSV `video_id,timestamp,x1,y1,x2,y2,action_id,score`, whose action_id
    is ignored.

    Without `images`, a JSON is only checked: its boxes stay in pixels. Boxes are clipped to the picture.
    """
    if not _is_json(path):
        return PEOPLE.read(path)

    def person(node: Node) -> PersonBox:
        image = AvaImage("", 0, 1, 1) if images is None else _image(node, images)
        box = _shares(node.get("bbox"), image if images else None)
        return PersonBox(image.movie, image.timestamp, box, node.get("score").number("a score from 0"))

    return parse_rows(path, person, read_json(path).entries())


def write_ava_json(path, images: dict[int, AvaImage], boxes: Collection[AvaBox]) -> None:
    """Writes AlphAction's JSON; boxes with the same keyframe, corners and person become one annotation with several actions."""
    number = {(image.movie, image.timestamp): key for key, image in images.items()}
    rows: dict[tuple, list[int]] = {}
    for box in boxes:
        rows.setdefault((number[box.video_id, box.timestamp], box.box, box.person), []).append(box.action)
    annotations = [{"image_id": key, "bbox": _pixels(box, images[key]), "action_ids": actions}
                   for (key, box, _), actions in rows.items()]  # fmt: skip
    listed = [{"id": key, "movie": i.movie, "timestamp": i.timestamp, "width": i.width, "height": i.height}
              for key, i in images.items()]  # fmt: skip
    write_json(path, {"images": listed, "annotations": annotations})


def write_ava_detections(path, images: dict[int, AvaImage], boxes: Collection[PersonBox]) -> None:
    number = {(image.movie, image.timestamp): key for key, image in images.items()}
    keys = [number[box.video_id, box.timestamp] for box in boxes]
    write_json(path, [{"image_id": key, "bbox": _pixels(box.box, images[key]), "score": box.score}
                      for key, box in zip(keys, boxes)])  # fmt: skip


def _is_json(path) -> bool:
    return read_text(path).lstrip()[:1] in ("{", "[")


def _read_annotations(path, known: Collection[int] | None) -> list[AvaBox]:
    images = read_ava_images(path)

    def person(number: int, node: Node) -> list[AvaBox]:
        image, box = _image(node, images), None
        box = _shares(node.get("bbox"), image)
        return [AvaBox(image.movie, image.timestamp, box, _action(each, known), number)
                for each in node.get("action_ids").entries()]  # fmt: skip

    entries = read_json(path).get("annotations").entries()
    return [box for boxes in parse_rows(path, person, enumerate(entries)) for box in boxes]


def _action(node: Node, known: Collection[int] | None) -> int:
    action = node.whole(1)
    if known is not None and action not in known:
        node.fail(f"expected an action of the list of actions, which has no {action}")
    return action


def _image(node: Node, images: dict[int, AvaImage]) -> AvaImage:
    place = node.get("image_id")
    return images.get(place.whole()) or place.fail(f"expected the id of one of the {len(images)} images, found {place.value}")  # fmt: skip


def _shares(node: Node, image: AvaImage | None) -> tuple[float, float, float, float]:
    """x, y, width, height in pixels -> x1, y1, x2, y2 as shares of the picture; in pixels if `image` is None."""
    numbers = [each.number("a number of pixels", -math.inf) for each in node.entries()]
    if len(numbers) != 4 or min(numbers[2:]) <= 0:
        node.fail(
            "expected [x, y, width, height] in pixels, width and height above 0 (not two corners, which may be swapped)"
        )
    x, y, width, height = numbers
    if image is None:
        return x, y, x + width, y + height
    if max(numbers) <= 1:
        node.fail(f"expected pixels of a picture of {image.width} x {image.height}, found shares of it")
    x1, x2 = (min(max(value / image.width, 0.0), 1.0) for value in (x, x + width))
    y1, y2 = (min(max(value / image.height, 0.0), 1.0) for value in (y, y + height))
    if x1 >= x2 or y1 >= y2:
        node.fail(f"expected a box in the picture of {image.width} x {image.height} pixels, found {numbers}")
    return x1, y1, x2, y2


def _pixels(box, image: AvaImage) -> list[float]:
    x1, x2 = (value * image.width for value in box[::2])
    y1, y2 = (value * image.height for value in box[1::2])
    return [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
