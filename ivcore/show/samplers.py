"""The frames of a video that each sampler takes, on a time axis."""

from __future__ import annotations

import numpy as np

from ivcore.show.style import OKABE_ITO


def samplers(num_video_frames: int, fps: float, picks: dict, title: str | None = None):
    """A line for each clip, with the clips of a multi-view sampler below each other. -> Figure

    picks: name -> indices (num_frames,), or a list of them, as from the functions of `video.sampling`.
    """
    import matplotlib.pyplot as plt

    clips = [
        (name, number, np.asarray(clip))
        for name, taken in picks.items()
        for number, clip in enumerate(taken if isinstance(taken, list) else [taken])
    ]
    figure, axes = plt.subplots(figsize=(8.5, 0.9 + 0.32 * len(clips)), layout="constrained")
    names = list(picks)
    for y, (name, _, clip) in enumerate(clips):
        axes.hlines(y, 0, (num_video_frames - 1) / fps, color="0.85", lw=6, zorder=1)
        colour = OKABE_ITO[names.index(name) % len(OKABE_ITO)]
        axes.plot(clip / fps, [y] * len(clip), "|", color=colour, ms=13, mew=2, zorder=2)
    axes.set_yticks(range(len(clips)), ["" if number else name for name, number, _ in clips])
    axes.set(xlabel="seconds", ylim=(len(clips) - 0.4, -0.6))
    axes.margins(x=0.01)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if title:
        axes.set_title(title, loc="left")
    return figure
