"""Writes annotations of the rendered Meta-World episodes in the formats of real datasets.

They need the episodes' records alone, neither the simulator nor the videos. Episodes that the expert did not solve are left out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ivcore.data import annotations, formats
from ivcore.data.annotations import Clip
from ivcore.data.balanced import Candidate, write_questions
from ivcore.data.metaworld.config import Episode, MetaWorld, records
from ivcore.data.metaworld.phases import PHASES
from ivcore.data.metaworld.tasks import PARTNERS, TASKS, captions, reversed_captions

_SPLITS = ("train", "val", "test")
_SUBSETS = {"train": "training", "val": "validation", "test": "testing"}
# The gripper does one of the first four, a thing one of the last two.
_ACTIONS = (*PHASES, "rest", "is moved")
# As for the moving shapes: change it whenever annotations change, and only then.
ANNOTATOR_VERSION = "72f256233fb1f94381dbfcaf4c09662f9e458c8772602bce757dc0ab7b3b83a6"


def write(config: MetaWorld, folder: Path) -> None:
    """Writes all annotation files of a folder in which every episode has its record."""
    solved = list(records(config, folder))
    for part in (_labels, _captions, _order, _questions, _segments, _boxes):
        part(config, folder, solved)


def _of(split: str, solved: list) -> list:
    return [(episode, record) for episode, record in solved if episode.split == split]


def _labels(config: MetaWorld, folder: Path, solved: list) -> None:
    clips = [_clip(episode, ()) for episode, _ in solved]
    annotations.write_labels(folder, clips, [TASKS[task].label for task in config.tasks])


def _clip(episode: Episode, sentences: tuple[str, ...]) -> Clip:
    return Clip(episode.id, episode.split, TASKS[episode.task].label, sentences, episode.id)


def _sentences(record: dict) -> tuple[str, ...]:
    return captions(record["task"], record["colour"], record["side"])


def _captions(config: MetaWorld, folder: Path, solved: list) -> None:
    """Writes five sentences an episode. In a test split each first one occurs once, so that a query has one right answer."""
    annotations.write_captions(folder, [_clip(episode, _sentences(record)) for episode, record in solved])
    undone = [_clip(episode, _reversed(record)) for episode, record in solved if episode.task in PARTNERS]
    formats.write_msrvtt_json(folder / "msrvtt_reversed.json", [annotations.captioned(folder, c) for c in undone])


def _order(config: MetaWorld, folder: Path, solved: list) -> None:
    """Writes two sentences an episode that differ only in the action, in random order."""
    rng = np.random.default_rng(config.seed)
    for split in _SPLITS[1:]:
        choices = []
        for episode, record in _of(split, solved):
            if episode.task in PARTNERS:
                right, wrong = _sentences(record)[0], _reversed(record)[0]
                answer = int(rng.integers(2))
                options = (wrong, right) if answer else (right, wrong)
                choices.append(formats.Choice(episode.id, str(folder / episode.video), options, answer))
        if choices:
            formats.write_choice_jsonl(folder / f"order_{split}.jsonl", choices)


def _questions(config: MetaWorld, folder: Path, solved: list) -> None:
    """Asks what is moved, its colour, and which of two opposite things is done with it. One frame answers the first two."""
    asked: dict[str, list[Candidate]] = {split: [] for split in _SPLITS}
    for episode, record in solved:
        thing, video = TASKS[episode.task].thing, (episode.id, str(folder / episode.video))
        asked[episode.split].append(Candidate("what moves", "", *video, "what does the robot move", thing))
        asked[episode.split].append(
            Candidate("which colour", "", *video, f"what colour is the {thing}", record["colour"])
        )
        if episode.task in PARTNERS:
            pair = " ".join(sorted((episode.task, PARTNERS[episode.task])))
            done = f"what does the robot do with the {thing}"
            asked[episode.split].append(Candidate("which way", pair, *video, done, TASKS[episode.task].label))
    write_questions(folder, asked, config.seed)


def _reversed(record: dict) -> tuple[str, ...]:
    return reversed_captions(record["task"], record["colour"], record["side"])


def _segments(config: MetaWorld, folder: Path, solved: list) -> None:
    videos = []
    for episode, record in solved:
        segments = tuple(
            formats.Segment(name, round(start / config.fps, 3), round(stop / config.fps, 3), PHASES.index(name))
            for name, start, stop in record["phases"]
        )
        path, subset = str(folder / episode.video), _SUBSETS[episode.split]
        length = round(config.frames / config.fps, 3)
        videos.append(formats.UntrimmedVideo(episode.id, path, subset, length, float(config.fps), segments))
    formats.write_activitynet_json(folder / "activitynet.json", videos)


def _boxes(config: MetaWorld, folder: Path, solved: list) -> None:
    """Writes a keyframe each whole second. person_id 0 is the gripper; the things have 1 and up."""
    actions = [formats.AvaAction(i, name, "OBJECT_MANIPULATION") for i, name in enumerate(_ACTIONS, 1)]
    formats.write_ava_actions(folder / "ava_actions.pbtxt", actions)
    for split in _SPLITS:
        chosen = _of(split, solved)
        boxes = [box for episode, record in chosen for box in _keyframes(config, episode, record)]
        formats.write_ava_csv(folder / f"ava_{split}.csv", boxes)


def _keyframes(config: MetaWorld, episode: Episode, record: dict) -> Iterator[formats.AvaBox]:
    for frame in range(config.fps, config.frames, config.fps):
        doing = next((name for name, start, stop in record["phases"] if start <= frame < stop), "rest")
        for which, boxes in enumerate(record["boxes"].values()):
            action = doing if which == 0 else "is moved" if doing == "move" else "rest"
            if boxes[frame]:
                number = _ACTIONS.index(action) + 1
                yield formats.AvaBox(episode.id, float(frame // config.fps), tuple(boxes[frame]), number, which)
