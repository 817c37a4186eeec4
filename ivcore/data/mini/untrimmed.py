"""Miniatures of datasets with labelled segments in untrimmed videos, and with boxes on their keyframes."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ivcore.data import formats, shapes
from ivcore.data.formats import AvaAction, AvaBox, AvaImage, PersonBox, UntrimmedVideo
from ivcore.data.mini import films
from ivcore.files import write_atomic, write_json, write_text

VIDEOS = 9  # a third of them for testing
SPLITS = ("training", "validation")  # the released files' names of the training and the test part


def segments(folder: Path, file: str, names: tuple[str, ...], *, video: str = "v_{}", splits: tuple[str, str] = SPLITS,
             numbered: bool = True, scores: str = "") -> None:  # fmt: skip
    """Writes ActivityNet's JSON. names: of the classes. video: pattern of a file's name, with {} for its id. splits: the JSON's names of
    the training and the test part. numbered: whether segments have a label_id, and videos a frame rate. scores: name of a file to write
    external scores to, one a class for each video."""
    filmed = _filmed(folder, video, splits)
    entries = [
        replace(each, fps=each.fps if numbered else None, segments=tuple(
            replace(s, label=names[s.label_id], label_id=s.label_id if numbered else None) for s in each.segments))
        for each in filmed
    ]  # fmt: skip
    formats.write_activitynet_json(folder / file, entries)
    if scores:
        write_json(folder / scores, {each.id: _shares(each, len(names)) for each in filmed})


def thumos14(folder: Path) -> None:
    """Writes the JSON that ActionFormer reads, and the text files of the release, one a class and subset."""
    names, words = ("BaseballPitch", "BasketballDunk", "Billiards", "CleanAndJerk"), ("Validation", "Test")
    segments(folder, "annotations/thumos14.json", names, video="{}", splits=words)
    videos = formats.read_activitynet_json(folder / "annotations/thumos14.json", folder / "videos")
    for subset, ending in zip(words, ("val", "test")):
        for name in names:
            lines = [f"{v.id}  {s.start} {s.end}\n" for v in videos if v.subset == subset
                     for s in v.segments if s.label == name]  # fmt: skip
            if lines:
                write_text(folder / f"annotations/{name}_{ending}.txt", "".join(lines))


def _filmed(folder: Path, name: str, splits: tuple[str, str]) -> list[UntrimmedVideo]:
    config, made = films.setting(untrimmed=VIDEOS), []
    for number, video in enumerate(shapes.untrimmed_videos(config)):
        subset = splits[SPLITS.index(video.split)]
        id = f"video_{subset.lower()}_{number:07d}" if name == "{}" else films.youtube_id(number)
        path = films.shoot(folder / f"videos/{name.format(id)}.mp4", video, config)
        made.append(replace(shapes.timelines.untrimmed(config, folder, video), id=id, path=path, subset=subset))
    return made


def _shares(video: UntrimmedVideo, classes: int) -> list[float]:
    """Scores of a classifier that is mostly right: the smoothed shares of the video's classes, sum 1."""
    counts = np.bincount([s.label_id for s in video.segments], minlength=classes) + 0.25
    return [round(float(share), 4) for share in counts / counts.sum()]


ACTIONS = (("bend/bow (at the waist)", 1), ("crouch/kneel", 3), ("dance", 4), ("fall down", 5), ("stand", 12))
_AVA = {"train": "training", "val": "validation"}


def ava(folder: Path, kinetics: bool = False) -> None:
    """Writes AVA 2.2's CSV files, and AlphAction's JSON with true and detected boxes. kinetics: adds AVA-Kinetics' files."""
    known = [AvaAction(number, name, "PERSON_MOVEMENT") for name, number in ACTIONS]
    formats.write_ava_actions(folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt", known)
    for split, (images, boxes) in _keyframes(folder, "videos", "{}").items():
        formats.write_ava_csv(folder / f"ava_{split}_v2.2.csv", boxes)
        formats.write_ava_json(folder / f"ava_{split}_v2.2_min.json", images, boxes)
        formats.write_ava_excluded(folder / f"ava_{split}_excluded_timestamps_v2.2.csv", [_first(boxes)])
        formats.write_ava_detections(folder / f"ava_{split}_det_person_bbox.json", images, _detected(boxes))
    if kinetics:
        _kinetics(folder)


def _kinetics(folder: Path) -> None:
    videos, truth = {}, []
    filmed = _keyframes(folder, "kinetics", "{}_000010_000020", first=VIDEOS, start=10, only=15)
    for split, (images, boxes) in filmed.items():
        formats.write_ava_json(folder / f"kinetics_{split}_v1.0.json", images, boxes)
        formats.write_ava_csv(folder / f"kinetics_{split}_v1.0.csv", boxes)
        formats.write_ava_detections(folder / f"kinetics_{split}_det_person_bbox.json", images, _detected(boxes))
        videos |= {image.movie: f"kinetics/{image.movie}_000010_000020.mp4" for image in images.values()}
        truth += boxes if split == "val" else []
    formats.write_ava_csv(folder / "ak_val_gt.csv", formats.read_ava_csv(folder / "ava_val_v2.2.csv") + truth)
    _pickled(folder / "video_path_k700.npy", videos)
    _pickled(folder / "movie_size.npy", dict.fromkeys(videos, (64, 64)))


def _keyframes(
    folder: Path, place: str, name: str, first: int = 0, start: int = 0, only: int | None = None
) -> dict[str, tuple]:
    """split -> (pictures, boxes) of its videos, which begin at the second `start`. only: the second of a video's only keyframe, as in Kinetics."""
    config, names, found = films.setting(untrimmed=first + VIDEOS), [*films.ACTIONS, "rest"], {}
    for split, subset in _AVA.items():
        images, boxes = {}, []
        for number, video in enumerate(shapes.untrimmed_videos(config)):
            if number < first or video.split != subset:
                continue
            id = films.youtube_id(number)
            films.shoot(folder / place / f"{name.format(id)}.mp4", video, config)
            own = [_named(box, id, start) for box in shapes.timelines.boxes(config, video, names)]
            own = [box for box in own if only in (None, box.timestamp)]
            for stamp in dict.fromkeys(box.timestamp for box in own):
                images[len(images)] = AvaImage(id, stamp, config.size, config.size)
            boxes += own
        found[split] = images, boxes
    return found


def _named(box: AvaBox, id: str, start: int) -> AvaBox:
    return replace(box, video_id=id, timestamp=box.timestamp + start, action=ACTIONS[box.action - 1][1])


def _first(boxes: list[AvaBox]) -> tuple[str, float]:
    return boxes[0].video_id, boxes[0].timestamp


def _detected(boxes: list[AvaBox]) -> list[PersonBox]:
    """The boxes of a perfect detector: each true box once, with the score 0.98."""
    return list(dict.fromkeys(PersonBox(box.video_id, box.timestamp, box.box, 0.98) for box in boxes))


def _pickled(path: Path, value: dict) -> None:
    def save(scratch: Path) -> None:
        with open(scratch, "wb") as file:
            np.save(file, value, allow_pickle=True)

    write_atomic(path, save)
