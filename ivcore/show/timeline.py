"""Untrimmed videos as timelines: true events, predicted ones, and scores at every moment; and the scale responsible for
each segment.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivcore.show.style import DPI, OKABE_ITO

TRUE, RIGHT, WRONG = "0.75", OKABE_ITO[2], OKABE_ITO[3]
MARKERS = "osD^vPX"  # markers of the segments of a pyramid
FRAMES = 8  # frames above a video's timeline
WIDTH = 104  # characters across the axis


@dataclass(frozen=True)
class Timeline:
    """One video. true: (start, end, text); found: (start, end, text, score, whether it is right), best first; times in
    seconds.

    seconds (T,) and curve (T,): the highest score of any class at every moment. frames: uint8 pictures spread over the
    video, may be [].
    """

    title: str
    duration: float
    true: Sequence[tuple]
    found: Sequence[tuple]
    seconds: np.ndarray
    curve: np.ndarray
    frames: Sequence[np.ndarray] = ()


def timelines(videos: Sequence[Timeline]):
    """Three rows for each video, with its frames above them: true segments, predictions, scores. -> Figure

    If predictions overlap, the better one is higher.
    """
    import matplotlib.pyplot as plt

    with_frames = any(len(video.frames) for video in videos)
    rows = [
        part for video in videos for part in [1.0] * with_frames + [2.0 + 0.6 * (1 + max(_lanes(video), default=0))]
    ]
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(9, sum(rows) + 0.4 * len(videos)), squeeze=False, height_ratios=rows, dpi=DPI, layout="constrained",
    )  # fmt: skip
    each_has = len(rows) // max(len(videos), 1)
    for number, video in enumerate(videos):
        *strip, axis = axes[each_has * number : each_has * (number + 1), 0]
        for each in strip:
            _strip(each, video)
        _timeline(axis, video)
        (strip or [axis])[0].set_title(video.title, loc="left")
    axes[-1, 0].set_xlabel("seconds")
    return figure


def _strip(axis, video: Timeline) -> None:
    axis.set_axis_off()
    axis.set(xlim=(0, video.duration), ylim=(0, 1))
    width = video.duration / max(len(video.frames), 1)
    for place, frame in enumerate(video.frames):
        axis.imshow(frame, extent=(width * (place + 0.04), width * (place + 0.96), 0, 1), aspect="auto", interpolation="nearest")  # fmt: skip


def _timeline(axis, video: Timeline) -> None:
    axis.plot(video.seconds, video.curve, color=OKABE_ITO[0], lw=1.2)
    axis.fill_between(video.seconds, video.curve, color=OKABE_ITO[0], alpha=0.15, lw=0)
    lanes = _lanes(video)
    top = 2.0 + 0.85 * max(lanes, default=0)  # of the predictions
    for start, end, text in video.true:
        _bar(axis, start, end, top + 0.25, TRUE, _wrapped(text, end - start, video))
    for lane, (start, end, text, score, right) in zip(lanes, video.found):
        _bar(
            axis,
            start,
            end,
            top - 0.75 - 0.85 * lane,
            RIGHT if right else WRONG,
            f"{_wrapped(text, end - start, video)}\n{score:{'.2f' if score >= 0.1 else '.1g'}}\u00a0{'✓' if right else '✗'}",
        )
    places = {"score": 0.5, "predicted": (top + 1.2) / 2, "true": top + 0.6}
    axis.set(xlim=(0, video.duration), ylim=(0, top + 1.05))
    axis.set_yticks(list(places.values()), list(places))
    axis.tick_params(axis="y", length=0)
    for height in (1.1, top + 0.1):
        axis.axhline(height, color="0.85", lw=0.8)


def _lanes(video: Timeline) -> list[int]:
    """For each predicted segment the first lane in which it overlaps no earlier one."""
    lanes: list[int] = []
    for number, (start, end, *_) in enumerate(video.found):
        taken = {lanes[n] for n in range(number) if video.found[n][0] < end and start < video.found[n][1]}
        lanes.append(next(lane for lane in range(number + 1) if lane not in taken))
    return lanes


def _wrapped(text: str, seconds: float, video: Timeline) -> str:
    """A class name wrapped to the width of its bar."""
    room = int(seconds / max(video.duration, 1e-6) * WIDTH)
    return textwrap.fill(text.replace("_", " "), max(room, 1), break_long_words=False)


def _bar(axis, start: float, end: float, low: float, colour: str, text: str) -> None:
    axis.broken_barh([(start, end - start)], (low, 0.7), facecolor=colour, alpha=0.85, ec="white", lw=1)
    axis.text((start + end) / 2, low + 0.35, text, ha="center", va="center", fontsize=9, linespacing=0.95, color="black", clip_on=True)  # fmt: skip


def pyramid(points: np.ndarray, answers: np.ndarray, segments: np.ndarray, texts: Sequence[str]):
    """The moments of each scale that are assigned to each segment. -> Figure

    points (P, 4) as in `heads.actionformer.Moments`; answers int (P,), the row of a segment or -1; segments (n, 2) in
    steps.
    """
    import matplotlib.pyplot as plt

    strides = list(dict.fromkeys(points[:, 3]))
    figure, axis = plt.subplots(figsize=(9, 1.2 + 0.4 * (len(strides) + 1)), dpi=DPI, layout="constrained")
    for number, ((start, end), text) in enumerate(zip(segments, texts)):
        colour = OKABE_ITO[number % 7]
        axis.broken_barh([(start, end - start)], (-0.3, 0.6), facecolor=colour, alpha=0.6)
        axis.text((start + end) / 2, -0.42, text, ha="center", va="bottom", fontsize=9)
        mine = points[answers == number]
        rows, mark = [1 + strides.index(stride) for stride in mine[:, 3]], MARKERS[number % len(MARKERS)]
        axis.plot(mine[:, 0], rows, mark, ms=7, color=colour, zorder=3)
        axis.plot((start + end) / 2, 0, mark, ms=7, color="black", zorder=3)
    rows = [1 + strides.index(stride) for stride in points[:, 3]]
    axis.plot(points[:, 0], rows, "o", ms=3, mfc="white", mec="0.6", mew=0.8, zorder=2)
    bounds = dict(zip(points[:, 3], points[:, 1:3]))
    names = [f"every {s:g}: {bounds[s][0]:g} to {'∞' if bounds[s][1] > 1000 else format(bounds[s][1], 'g')}" for s in strides]  # fmt: skip
    axis.set_yticks([0, *range(1, len(strides) + 1)], ["segments", *names])
    axis.set(ylim=(len(strides) + 0.6, -1.0), xlabel="time, in steps of the features")
    axis.tick_params(axis="y", length=0)
    return figure
