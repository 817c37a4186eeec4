"""Predictions for one clip: its frames, and a bar for each candidate sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from ivcore.show import frames as film
from ivcore.show.clips import spread
from ivcore.show.style import OKABE_ITO, titled

FRAMES, BAR, LINE = 8, 0.38, 40  # maximum of frames, inches of a bar, and characters of a line of text
ROW = 0.17  # inches for a third line of text, and for each further one


def answer_bars(
    clip, sentences: Sequence[str], probabilities: Sequence[float], truth: str = "", most: int = 8, title: str | None = None
):  # fmt: skip
    """The clip's frames above, the `most` likeliest sentences below. -> Figure

    clip: uint8 (T, H, W, 3). truth: the right sentence, if known. It is ticked and has its own colour; if it is not
    among the likeliest, it replaces the last of them.
    """
    import matplotlib.pyplot as plt

    shown = spread(film.as_frames(clip), FRAMES)
    gap = np.full((shown.shape[1], max(1, shown.shape[2] // 16), 3), 255, np.uint8)
    strip = np.concatenate([part for frame in shown for part in (frame, gap)][:-1], axis=1)
    order = sorted(range(len(sentences)), key=lambda k: -probabilities[k])
    order = (
        order[:most]
        if truth not in [sentences[k] for k in order[most:]]
        else [*order[: most - 1], [*sentences].index(truth)]
    )
    tall = 7 * strip.shape[0] / strip.shape[1]
    said = [f"✓ {sentences[k]}" if sentences[k] == truth else sentences[k] for k in order]
    texts = [textwrap.fill(text, LINE).replace("$", r"\$") for text in said]
    low = len(order) * (BAR + ROW * max(0, max(text.count("\n") for text in texts) - 1))
    sizes = {"height_ratios": (tall, low + 0.3)}
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, tall + low + 1.1), gridspec_kw=sizes, layout="constrained")
    above.imshow(strip, interpolation="nearest")
    above.set_axis_off()
    colours = [OKABE_ITO[2] if sentences[k] == truth else OKABE_ITO[0] for k in order]
    values = [float(probabilities[k]) for k in order]
    bars = below.barh(range(len(order)), values, color=colours, height=0.7)
    below.bar_label(bars, [f"{value:.2f}" for value in values], padding=4)
    below.set_yticks(range(len(order)), texts)
    below.set(xlim=(0, 1.08 if max(values) > 0.45 else 0.54), ylim=(len(order) - 0.5, -0.5), xlabel="probability")
    below.tick_params(axis="y", length=0)
    if truth in [sentences[k] for k in order]:
        handles = [plt.Rectangle((0, 0), 1, 1, color=OKABE_ITO[colour]) for colour in (2, 0)]
        figure.legend(handles, ["✓ right answer", "other"], loc="outside lower right", ncols=2)
    return titled(figure, title)
