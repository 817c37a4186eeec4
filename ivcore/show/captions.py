"""Generated and true captions under the frames of their clips."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.captioning import words
from ivcore.show import frames as film
from ivcore.show.clips import spread
from ivcore.show.style import DPI, OKABE_ITO

FONT = 10  # points
CHARACTER = 0.095 * DPI  # width of a bold character, in pixels of the canvas
LINE = 0.22 * DPI  # height of a line of text
MARGIN = 0.75 * DPI  # width of the line names on the left
BETWEEN = 0.18 * DPI  # between clips
MISSED, WRONG, SAME = OKABE_ITO[0], OKABE_ITO[3], OKABE_ITO[2]


def caption_strips(clips, truths, generated, frames: int = 6, title: str | None = None):
    """Each clip's frames, and below them its true caption and the generated one. -> Figure

    clips: uint8 (T, H, W, 3) each, of one frame size. truths, generated: a text for each clip. Words that differ are
    bold and coloured; a caption with the same words gets a tick.
    """
    import matplotlib.pyplot as plt

    _check(clips, truths, generated)
    rows = film.fitted([film.Row("", spread(film.as_frames(clip), frames)) for clip in clips])
    strips = [_strip(row.frames) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    texts = [_both(*pair, int((width - MARGIN) / CHARACTER)) for pair in zip(truths, generated)]
    heights = [len(strip) + LINE * (len(lines) + 0.3) for strip, lines in zip(strips, texts)]
    height = sum(heights) + BETWEEN * (len(heights) - 1)
    figure = plt.figure(figsize=(width / DPI, height / DPI), layout="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    y = 0.0
    for strip, lines, tall in zip(strips, texts, heights):
        axes.imshow(strip, extent=(0, strip.shape[1], y + len(strip), y), interpolation="nearest")
        for number, (name, line) in enumerate(lines):
            _write(axes, y + len(strip) + LINE * (number + 0.95), name, line)
        y += tall + BETWEEN
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    if title:
        axes.set_title(title, loc="left", pad=6)
    return figure


def differing(truth: str, generated: str) -> tuple[list[bool], list[bool]]:
    """For each word of both texts, split at spaces: True if the other text has another word at this position."""
    a, b = (["".join(words(word)) for word in text.split()] for text in (truth, generated))
    marks = [True] * len(a), [True] * len(b)
    for i, j, n in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        marks[0][i : i + n] = marks[1][j : j + n] = [False] * n
    return marks


def _both(truth: str, generated: str, columns: int) -> list[tuple[str, list[tuple[str, dict]]]]:
    """The lines under a clip, at most `columns` characters long: (name of the line, its words with their formats)."""
    missed, wrong = differing(truth, generated)
    above = [(word, _look(mark, MISSED)) for word, mark in zip(truth.split(), missed)]
    below = [(word, _look(mark, WRONG)) for word, mark in zip(generated.split(), wrong)]
    if not below:
        below = [("(nothing)", {"color": WRONG, "style": "italic"})]
    elif not any(missed + wrong):
        below.append(("✓", _look(True, SAME)))
    return [
        (name * (number == 0), line)
        for name, text in (("truth", above), ("model", below))
        for number, line in enumerate(_wrapped(text, columns))
    ]


def _look(marked: bool, colour: str) -> dict:
    return {"color": colour, "weight": "bold"} if marked else {"color": "black"}


def _wrapped(text: list[tuple[str, dict]], columns: int) -> list[list[tuple[str, dict]]]:
    lines, used = [[]], 0
    for word, look in text:
        if used and used + len(word) > columns:
            lines.append([])
            used = 0
        lines[-1].append((word, look))
        used += len(word) + 1
    return lines


def _write(axes, y: float, name: str, line: list[tuple[str, dict]]) -> None:
    """Writes one line of words in different formats, with its bottom at y."""
    from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea

    axes.text(0, y, name, color="0.4", fontsize=FONT)
    areas = [TextArea(word.replace("$", r"\$"), textprops=look | {"size": FONT}) for word, look in line]
    packed = HPacker(children=areas, align="baseline", pad=0, sep=0.32 * FONT)
    axes.add_artist(AnnotationBbox(packed, (MARGIN, y + 0.2 * LINE), box_alignment=(0, 0), frameon=False, pad=0))


def _strip(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) -> one picture with the frames from left to right and white gaps between them."""
    gap = np.full((len(frames), frames.shape[1], round(film.GAP * DPI), 3), 255, np.uint8)
    return np.concatenate(list(np.concatenate([frames, gap], axis=2)), axis=1)[:, : -gap.shape[2]]


def _check(clips, truths, generated) -> None:
    if not len(clips) or not len(clips) == len(truths) == len(generated):
        counts = f"{len(clips)} clips, {len(truths)} truths, {len(generated)} generated"
        raise ParameterError(f"captions: expected as many of each, and not 0; got {counts}")
