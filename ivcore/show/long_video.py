"""A long video compared with the same events in another order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivcore.show.style import DPI


def windows_alike(video, other, names: Sequence[str]):
    """Cosine of every window of a video with every window of another, with their events along both axes. -> Figure

    video, other: a `data.untrimmed.FeatureSequence`; names: of its labels.
    """
    import matplotlib.pyplot as plt

    first, second = (each.features.numpy() / np.linalg.norm(each.features.numpy(), axis=1, keepdims=True) for each in (video, other))  # fmt: skip
    figure, axes = plt.subplots(figsize=(6.4, 5.2), dpi=DPI, layout="constrained")
    last = [each.first + each.step * (len(each.features) - 0.5) for each in (video, other)]
    begin = [each.first - 0.5 * each.step for each in (video, other)]
    image = axes.imshow(first @ second.T, cmap="viridis", extent=(begin[1], last[1], last[0], begin[0]), aspect="auto")
    axes.set(xlabel="time in the reordered video (s)", ylabel="time in the video (s)")
    for each, place, write in ((video, axes.secondary_yaxis("right"), "set_yticks"), (other, axes.secondary_xaxis("top"), "set_xticks")):  # fmt: skip
        middles = each.segments.mean(1)
        getattr(place, write)(middles, [names[label] for label in each.labels], rotation=30 if write == "set_xticks" else 0, ha="left")  # fmt: skip
        place.tick_params(length=0, labelsize=9)
    figure.colorbar(image, ax=axes, label="cosine similarity of windows", location="bottom", shrink=0.6)
    return figure
