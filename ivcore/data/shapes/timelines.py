"""Annotations in time and space of the embedded untrimmed videos: ActivityNet segments, AVA boxes on keyframes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ivcore.data import formats
from ivcore.data.shapes import plan, scenes
from ivcore.data.shapes.config import Shapes

_NEAR_CUT = 2  # frames: a keyframe closer to a cut is left out of the evaluation


def _placed(video: plan.Video) -> Iterator[tuple[int, plan.Shot]]:
    """(first frame in the video, shot) of every shot."""
    first = 0
    for shot in video.shots:
        yield first, shot
        first += shot.frames


def write_segments(config: Shapes, folder: Path) -> None:
    videos = [untrimmed(config, folder, video) for video in plan.untrimmed_videos(config)]
    formats.write_activitynet_json(folder / "activitynet.json", videos)


def untrimmed(config: Shapes, folder: Path, video: plan.Video) -> formats.UntrimmedVideo:
    """The annotation of a video in `folder`: its actions as segments, in seconds."""

    def seconds(frame: int) -> float:
        return round(frame / config.fps, 3)

    segments = tuple(
        formats.Segment(
            shot.action, seconds(first + shot.start), seconds(first + shot.stop), config.actions.index(shot.action)
        )
        for first, shot in _placed(video)
        if shot.action in config.actions
    )
    duration = seconds(sum(shot.frames for shot in video.shots))
    path = str(folder / video.file)
    return formats.UntrimmedVideo(video.id, path, video.split, duration, float(config.fps), segments)


def write_ava(config: Shapes, folder: Path) -> None:
    """Writes a keyframe each whole second. Things that do not move at that time, or at all, have the action "rest"."""
    names = list(dict.fromkeys([*config.actions, "rest"]))
    actions = [formats.AvaAction(i, name, "PERSON_MOVEMENT") for i, name in enumerate(names, 1)]
    formats.write_ava_actions(folder / "ava_actions.pbtxt", actions)
    for subset, short in (("training", "train"), ("validation", "val")):
        chosen = [video for video in plan.untrimmed_videos(config) if video.split == subset]
        found = [box for video in chosen for box in boxes(config, video, names)]
        excluded = [
            (video.id, float(second))
            for video in chosen
            for second, _, shot, frame in _keyframes(config, video)
            if not _NEAR_CUT <= frame < shot.frames - _NEAR_CUT
        ]
        formats.write_ava_csv(folder / f"ava_{short}.csv", found)
        formats.write_ava_excluded(folder / f"ava_{short}_excluded_timestamps.csv", excluded)


def _keyframes(config: Shapes, video: plan.Video) -> Iterator[tuple[int, int, plan.Shot, int]]:
    """(second, number of the shot, shot, frame within it) of each whole second from 1."""
    for number, (first, shot) in enumerate(_placed(video)):
        seconds = range(max(1, -(-first // config.fps)), -(-(first + shot.frames) // config.fps))
        yield from ((second, number, shot, second * config.fps - first) for second in seconds)


def boxes(config: Shapes, video: plan.Video, names: list[str]) -> Iterator[formats.AvaBox]:
    """The boxes of all things on each keyframe, with their actions; an action's id is its place in `names`, from 1."""
    stages = [shot.scene(config) for shot in video.shots]
    for second, number, shot, frame in _keyframes(config, video):
        scene = stages[number]
        acting = shot.start <= frame < shot.stop
        for which, (thing, corners) in enumerate(zip(scene.objects, scene.boxes()[frame])):
            x1, y1, x2, y2 = box = tuple(round(float(c), 3) for c in np.clip(corners, 0.001, 1))
            if x1 < x2 and y1 < y2:
                action = shot.action if acting and _moves(thing) else "rest"
                person = 10 * number + which
                yield formats.AvaBox(video.id, float(second), box, names.index(action) + 1, person)


def _moves(thing: scenes.Thing) -> bool:
    track = thing.track
    return any(np.ptp(values) > 0 for values in (track.x, track.y, track.radius, track.angle))
