"""Writes what the scenes show in the formats of Ego4D's release; the readers are in `data.formats.ego4d`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ivcore.data.egocentric.scenes import NOUNS, VERBS, Scene
from ivcore.data.formats.ego4d import HAND_FRAMES
from ivcore.files import write_json

VERSION = "4"
_MISSED, _OFF = (
    0.05,
    0.06,
)  # of the simulated detector: share of things that it misses, spread of the sides of its boxes


def write(config, folder: Path) -> None:
    """Writes the files of all five tracks for the clips of `config`."""
    (folder / "annotations").mkdir(exist_ok=True)
    detections: dict[str, list] = {}
    for part in ("train", "val"):
        scenes = {uid: config.scene(each, uid) for each, uid in config.clips() if each == part}
        for name, content in (
            ("moments", _untrimmed(config, part, {uid: _moments(config, s) for uid, s in scenes.items()})),
            ("nlq", _untrimmed(config, part, {uid: _queries(config, s) for uid, s in scenes.items()})),
            ("fho_sta", _sta(config, scenes, detections)),
            ("fho_hands", {"clips": [_hands(config, uid, scene) for uid, scene in scenes.items()]}),
            ("scod", _scod(config, scenes)),
        ):
            write_json(folder / f"annotations/{name}_{part}.json", content)
    write_json(folder / "annotations/object_detections.json", detections)


def _seconds(config, frame: int) -> float:
    return round(frame / config.fps, 3)


def _untrimmed(config, part: str, annotations: dict) -> dict:
    whole = {"video_start_sec": 0.0, "video_end_sec": _seconds(config, config.frames)}
    return {"version": "1", "videos": [
        {"video_uid": f"v-{uid}", "split": part, "clips": [{"clip_uid": uid, **whole, "annotations": [each]}]}
        for uid, each in annotations.items()
    ]}  # fmt: skip


def _moments(config, scene: Scene) -> dict:
    """A moment lasts from half a second before the touch to half a second after the act."""
    return {"annotator_uid": "a", "labels": [
        {"label": act.verb, "primary": True, "start_time": _seconds(config, act.contact - config.fps // 2),
         "end_time": _seconds(config, act.end + config.fps // 2)} for act in scene.acts
    ]}  # fmt: skip


def _queries(config, scene: Scene) -> dict:
    """Asks when an act was, if its verb occurs once in the clip."""
    queries, done = [], [act.verb for act in scene.acts]
    for act in scene.acts:
        if done.count(act.verb) > 1:
            continue
        start, end = (_seconds(config, f) for f in (act.contact - config.fps // 2, act.end + config.fps // 2))
        queries.append({"query": f"When did I {act.verb} something?", "template": "Objects: What X did I Y?",
                        "clip_start_sec": start, "clip_end_sec": end, "video_start_sec": start, "video_end_sec": end})  # fmt: skip
    return {"annotation_uid": "a", "language_queries": queries}


def _pixels(config, box) -> list[float]:
    return [round(float(each) * config.size, 2) for each in box]


def _sta(config, scenes: dict[str, Scene], detections: dict) -> dict:
    """Three frames before each touch, while the hand is on its way. A simulated detector finds the things in them, slightly misplaced.

    On average, the two seconds before such a frame begin as long after the hand set out as the frame is before the touch;
    otherwise the path alone would give away the goal.
    """
    entries = []
    for uid, scene in scenes.items():
        rng = np.random.default_rng([config.seed, *uid.encode()])
        for act in scene.acts:
            for ahead in rng.permutation(np.arange(2, act.contact - act.start - 2 * config.fps))[:3]:
                frame = act.contact - int(ahead)
                if (box := scene.box(act.thing, frame)) is None:
                    continue
                name = f"{uid}_{frame:05d}"
                touched = {"box": _pixels(config, box), "noun_category_id": NOUNS.index(scene.things[act.thing].noun),
                           "verb_category_id": VERBS.index(act.verb), "time_to_contact": _seconds(config, int(ahead))}  # fmt: skip
                entries.append(
                    {
                        "uid": name,
                        "video_id": f"v-{uid}",
                        "frame": frame,
                        "clip_uid": uid,
                        "clip_frame": frame,
                        "objects": [touched],
                    }
                )
                detections[name] = _detected(config, scene, frame, rng)
    film = {"frame_width": config.size, "frame_height": config.size, "fps": config.fps}
    return {
        "info": {"video_metadata": {f"v-{uid}": film for uid in scenes}},
        "noun_categories": [{"id": n, "name": name} for n, name in enumerate(NOUNS)],
        "verb_categories": [{"id": n, "name": name} for n, name in enumerate(VERBS)],
        "annotations": entries,
    }


def _detected(config, scene: Scene, frame: int, rng) -> list[dict]:
    found = []
    for number, thing in enumerate(scene.things):
        box = scene.box(number, frame)
        if box is None or rng.random() < _MISSED:
            continue
        sides = np.tile(box[2:] - box[:2], 2)
        moved = (box + _OFF * sides * rng.standard_normal(4)).clip(0, 1)
        if (moved[2:] > moved[:2] + 0.02).all():
            score = round(float(rng.uniform(0.7, 1)), 3)
            found.append({"box": _pixels(config, moved), "noun_category_id": NOUNS.index(thing.noun), "score": score})
    return found


def _hands(config, uid: str, scene: Scene) -> dict:
    rows = []
    for act in scene.acts:
        before = act.contact - config.fps // 2  # as far before the touch as most PRE frames of the release
        places = [before - 3 * config.fps // 2, before - config.fps, before - config.fps // 2, before, act.contact]
        frames = {name: _keyframe(config, scene, frame) for name, frame in zip(HAND_FRAMES, places)}
        rows.append({"action_clip_start_sec": _seconds(config, act.start), "action_clip_end_sec": _seconds(config, act.end), **frames})  # fmt: skip
    return {
        "clip_uid": uid,
        "video_uid": f"v-{uid}",
        "fps": config.fps,
        "width": config.size,
        "height": config.size,
        "frames": rows,
    }


def _keyframe(config, scene: Scene, frame: int) -> dict:
    frame = max(frame, 0)
    places = {name: scene.hand(which, frame) for which, name in enumerate(("left_hand", "right_hand"))}
    boxes = [{name: _pixels(config, place)} for name, place in places.items() if place is not None]
    return {"frame": frame, "clip_frame": frame, "boxes": boxes}


def _scod(config, scenes: dict[str, Scene]) -> dict:
    """One picture from the middle of each act, with a box around the thing that changes and the verb."""
    images, boxes = [], []
    for uid, scene in scenes.items():
        for act in scene.acts:
            frame = (act.contact + act.end) // 2
            box = scene.box(act.thing, frame)
            if box is None:
                continue
            image = len(images)
            images.append({"id": image, "file_name": f"{uid}/frame_{frame:07d}.jpg", "width": config.size, "height": config.size})  # fmt: skip
            x1, y1, x2, y2 = _pixels(config, box)
            boxes.append({"id": image, "image_id": image, "category_id": VERBS.index(act.verb), "iscrowd": 0,
                          "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)], "area": round((x2 - x1) * (y2 - y1), 2)})  # fmt: skip
    kinds = [{"id": number, "name": name} for number, name in enumerate(VERBS)]
    return {"info": {"fps": config.fps}, "images": images, "annotations": boxes, "categories": kinds}
