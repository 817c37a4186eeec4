"""Ego4D's annotation files of five tracks, as released with its clips (arXiv 2110.07058).

    moments_*.json    {"videos": [{"video_uid", "split": "train", "clips": [{"clip_uid", "video_start_sec", "video_end_sec",
                       "annotations": [{"labels": [{"label", "primary", "start_time", "end_time"}]}]}]}]}
    nlq_*.json        the same, with "annotations": [{"language_queries": [{"query", "clip_start_sec", "clip_end_sec"}]}]
    fho_sta_*.json    {"annotations": [{"uid", "video_id", "frame", "objects": [{"box", "noun_category_id", "verb_category_id", "time_to_contact"}]}],
                       "noun_categories": [{"id", "name"}], "verb_categories": …, "info": {"video_metadata": {"VIDEO": {"frame_width", "frame_height", "fps"}}}}
    fho_hands_*.json  {"clips": [{"clip_uid", "video_uid", "frames": [{"pre_45": {"frame", "clip_frame", "boxes": [{"left_hand": [x, y]}, {"right_hand": [x, y]}]}, "pre_30": …}]}]}
    COCO's JSON       {"images": [{"id", "file_name", "width", "height", optional "video_uid"}], "annotations": [{"image_id", "category_id", "bbox"}], "categories": [{"id", "name"}]}

Times are in seconds of the clip, positions in pixels of its pictures. The default frame rate is 30 a second, that of all released clips.
Every reader keeps `video_uid`, the video that a clip is cut from, because clips of one video are alike and belong in the same split.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ivcore.data.formats.segments import Segment, UntrimmedVideo, of_subset
from ivcore.data.formats.text import base_folder, parse_rows
from ivcore.data.formats.tree import Node, read_json
from ivcore.errors import FormatError, shown

FPS = 30.0
HAND_FRAMES = ("pre_45", "pre_30", "pre_15", "pre_frame", "contact_frame")
HANDS = ("left_hand", "right_hand")
_PICTURE = re.compile(r"(.+?)[_/](?:frame_?)?(\d+)\.(?:jpe?g|png)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """A question about a clip, and the seconds from `start` to `end` that answer it. video_uid: the video that the clip is cut from."""

    clip: str
    path: str
    duration: float
    text: str
    start: float
    end: float
    video_uid: str = ""


@dataclass(frozen=True, slots=True)
class NextObject:
    """An object that will be touched. box: x1, y1, x2, y2 in pixels; noun, verb: ids of the object and the action; seconds: time to contact."""

    box: tuple[float, float, float, float]
    noun: int
    verb: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame of a video, or a picture file if `frame` is None. size: (width, height) in pixels, None if the file does not say. things: the true
    objects: `NextObject`s, or (box, category) of changed objects. hands: 20 numbers, see `read_hands`. video_uid: the video that the clip is cut
    from, "" if the file does not say."""

    id: str
    path: str
    frame: int | None
    fps: float
    size: tuple[int, int] | None
    things: tuple = ()
    hands: tuple = ()
    video_uid: str = ""


@dataclass(frozen=True)
class PictureSet:
    """nouns, verbs: id -> name. In COCO's JSON the categories are the nouns."""

    pictures: list[Picture]
    nouns: dict[int, str] = field(default_factory=dict)
    verbs: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pictures)


def read_moments(path, root=None, subset: str | None = None, labels=None) -> list[UntrimmedVideo]:
    """Every clip as a video with its `primary` moments. A moment that several annotators name alike is kept once for each."""
    base = base_folder(path, root)
    videos = parse_rows(path, lambda clip, *of: _moments(clip, *of, base, labels), _clips(path))
    return of_subset(path, videos, subset, "split")


def _clips(path) -> Iterator[tuple[Node, str, str]]:
    for video in read_json(path).get("videos").entries():
        split, uid = video.get("split").text(), video.get("video_uid", "").identifier()
        yield from ((clip, split, uid) for clip in video.get("clips").entries())


def _moments(clip: Node, split: str, video_uid: str, base: str, labels) -> UntrimmedVideo:
    uid, duration = clip.get("clip_uid").text(), _duration(clip)
    entries = (label for each in clip.get("annotations", []).entries() for label in each.get("labels").entries())
    found = []
    for entry in entries:
        if not entry.get("primary", True).value:
            continue
        name = entry.get("label").text()
        if labels is not None and name not in labels:
            entry.get("label").fail(f"expected one of the {len(labels)} known labels, found {shown(name)}")
        found.append(Segment(name, *_span(entry, "start_time", "end_time", duration)))
    return UntrimmedVideo(uid, f"{base}/{uid}.mp4", split, duration, None, tuple(found), video_uid)


def _duration(clip: Node) -> float:
    start, end = (clip.get(name).number() for name in ("video_start_sec", "video_end_sec"))
    if end <= start:
        clip.fail(f"expected video_start_sec < video_end_sec, found {start:g} and {end:g}")
    return end - start


def _span(entry: Node, first: str, last: str, duration: float) -> tuple[float, float]:
    start, end = (entry.get(name).number("seconds from 0") for name in (first, last))
    if not start <= end or start > duration:
        entry.fail(
            f"expected {first} <= {last}, and a start before the end of the clip at {duration:g} s, found {start:g} and {end:g}"
        )
    return start, end


def read_nlq(path, root=None) -> list[Query]:
    """Every query that has a text and a duration above 0; the release has a few others and does not score them."""
    base = base_folder(path, root)
    found = parse_rows(path, lambda clip, split, video_uid: list(_queries(clip, video_uid, base)), _clips(path))
    queries = [query for each in found for query in each]
    if not queries:
        raise FormatError(path, None, "expected at least one query that has a text and lasts")
    return queries


def _queries(clip: Node, video_uid: str, base: str) -> Iterator[Query]:
    uid, duration = clip.get("clip_uid").text(), _duration(clip)
    for each in clip.get("annotations").entries():
        for entry in each.get("language_queries").entries():
            start, end = _span(entry, "clip_start_sec", "clip_end_sec", duration)
            text = entry.get("query", None)
            if text.value is not None and text.text().strip() and start < end:
                yield Query(uid, f"{base}/{uid}.mp4", duration, text.text().strip(), start, end, video_uid)


def read_sta(path, root=None) -> PictureSet:
    """Frames with the objects that will be touched next. A frame is `clip_frame` of `clip_uid` if the file has these, else `frame` of `video_id`."""
    base, tree = base_folder(path, root), read_json(path)
    names = [_categories(tree.get(f"{kind}_categories")) for kind in ("noun", "verb")]
    films = tree.get("info", {}).get("video_metadata", {})
    pictures = parse_rows(path, lambda each: _anticipated(each, base, films, *names), tree.get("annotations").entries())
    return PictureSet(pictures, *names)


def _categories(node: Node) -> dict[int, str]:
    return {each.get("id").whole(): each.get("name").text() for each in node.entries()}


def _anticipated(node: Node, base: str, films: Node, nouns: dict, verbs: dict) -> Picture:
    video = next((node.get(name) for name in ("video_uid", "video_id") if name in node.expect(dict, "an object")), None)
    video = (video or node.get("video_id")).text()
    clip, frame = node.get("clip_uid", None), node.get("clip_frame", None)
    film = films.get(video, {})
    size = tuple(film.get(name).whole(1) for name in ("frame_width", "frame_height")) if film.value else None
    things = tuple(_next_object(each, nouns, verbs) for each in node.get("objects").entries())
    here = clip.value is not None and frame.value is not None
    file, number = (clip.text(), frame.whole()) if here else (video, node.get("frame").whole())
    return Picture(node.get("uid").text(), f"{base}/{file}.mp4", number, _fps(film), size, things, video_uid=video)


def _fps(node: Node) -> float:
    return node.get("fps", FPS).number("frames per second above 0", minimum=1e-6)


def _next_object(node: Node, nouns: dict, verbs: dict) -> NextObject:
    ids = []
    for name, known in (("noun_category_id", nouns), ("verb_category_id", verbs)):
        ids.append(node.get(name).whole())
        if ids[-1] not in known:
            node.get(name).fail(f"expected one of the {len(known)} ids of its categories, found {ids[-1]}")
    return NextObject(_corners(node.get("box")), *ids, node.get("time_to_contact").number("seconds from 0"))


def _corners(node: Node) -> tuple[float, float, float, float]:
    numbers = tuple(each.number("pixels", minimum=-1e6) for each in node.entries())
    if len(numbers) != 4 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        node.fail(f"expected [x1, y1, x2, y2] in pixels with x1 < x2 and y1 < y2, found {shown(node.value)}")
    return numbers


def read_detections(path) -> dict[str, list[tuple]]:
    """object_detections.json of the release: uid -> (box in pixels, noun_category_id, score) of each detected box."""
    return {
        uid: [(_corners(each.get("box")), each.get("noun_category_id").whole(), each.get("score").number()) for each in found.entries()]
        for uid, found in read_json(path).items()
    }  # fmt: skip


def read_hands(path, root=None) -> PictureSet:
    """Frames 1.5 s before contact, with the future positions of both hands as 20 numbers: for each of HAND_FRAMES x and y in pixels
    of the left and of the right hand, None for an invisible hand. A row without any hand is left out; FormatError if no row is left."""
    base, tree = base_folder(path, root), read_json(path)
    clips = tree.get("clips").entries() if "clips" in tree.expect(dict, "an object") else _listed(tree)
    found = parse_rows(path, lambda clip: list(_reaching(clip, base)), clips)
    pictures = [picture for each in found for picture in each]
    if not pictures:
        raise FormatError(path, None, "expected at least one row with a hand")
    return PictureSet(pictures)


def _listed(tree: Node) -> Iterator[Node]:
    """The clips of a file {id: [clip, …]}, the layout that InternVideo's code reads."""
    return (clip for _, listed in tree.items() for clip in listed.entries())


def _reaching(clip: Node, base: str) -> Iterator[Picture]:
    uid, fps = clip.get("clip_uid", clip.get("clip_id", "").value).identifier(), _fps(clip)
    video = clip.get("video_uid", "").identifier()
    size = tuple(clip.get(name).whole(1) for name in ("width", "height")) if "width" in clip.value else None
    for number, row in enumerate(clip.get("frames").entries()):
        first = row.get(HAND_FRAMES[0])
        frame = first.get("clip_frame", first.get("frame", None).value)
        hands = tuple(each for name in HAND_FRAMES for each in _hands(row.get(name, {})))
        if any(each is not None for each in hands):
            yield Picture(
                f"{uid},{number}", f"{base}/{uid}.mp4", frame.whole(), fps, size, hands=hands, video_uid=video
            )


def _hands(node: Node) -> list[float | None]:
    places = dict.fromkeys(HANDS, (None, None))
    for each in node.get("boxes", []).entries():
        for name, place in each.items():
            if name in places:
                places[name] = tuple(one.number("pixels", minimum=-1e6) for one in place.entries())
                if len(places[name]) != 2:
                    place.fail(f"expected [x, y] in pixels, found {shown(place.value)}")
    return [number for name in HANDS for number in places[name]]


def read_changed(path, root=None) -> PictureSet:
    """COCO's JSON of objects that change their state. file_name: a picture, or CLIP_FRAME.jpg or CLIP/frame_FRAME.jpg for a frame of CLIP.mp4."""
    base, tree = base_folder(path, root), read_json(path)
    names = _categories(tree.get("categories"))
    things: dict[int, list] = {}
    for image, thing in parse_rows(
        path, lambda each: _changed(each, names), tree.get("annotations").entries(), minimum=0
    ):
        things.setdefault(image, []).append(thing)
    fps = _fps(tree.get("info", {}))
    pictures = parse_rows(path, lambda each: _image(each, base, fps, things), tree.get("images").entries())
    if unknown := things.keys() - {int(picture.id) for picture in pictures}:
        raise FormatError(path, None, f"annotations: there is no image {min(unknown)}")
    return PictureSet(pictures, names)


def _changed(node: Node, names: dict) -> tuple[int, tuple]:
    box = [each.number("pixels", minimum=-1e6) for each in node.get("bbox").entries()]
    if len(box) != 4 or box[2] <= 0 or box[3] <= 0:
        node.get("bbox").fail(f"expected [x, y, width, height] in pixels, found {shown(node.get('bbox').value)}")
    category = node.get("category_id")
    if category.whole() not in names:
        category.fail(f"expected one of the {len(names)} ids of the categories, found {category.value}")
    x, y, width, height = box
    return node.get("image_id").whole(), ((x, y, x + width, y + height), category.value)


def _image(node: Node, base: str, fps: float, things: dict) -> Picture:
    name, number = node.get("file_name").text(), node.get("id").whole()
    size = tuple(node.get(side).whole(1) for side in ("width", "height"))
    part = _PICTURE.fullmatch(name)
    path, frame = (f"{base}/{part[1]}.mp4", int(part[2])) if part else (f"{base}/{name}", None)
    return Picture(
        str(number),
        path,
        frame,
        fps,
        size,
        tuple(things.get(number, ())),
        video_uid=node.get("video_uid", "").identifier(),
    )
