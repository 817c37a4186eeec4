"""Generated captions beside the truth, under the frames they are about."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from ivcore.errors import ParameterError
from ivcore.metrics.captioning import words
from ivcore.show import frames as film
from ivcore.show.clips import spread
from ivcore.show.style import DPI, OKABE_ITO

FONT = 10  # points
LINE = 0.22 * DPI  # height of a line of text, in pixels of the canvas
MARGIN = 0.75 * DPI  # room at the left for what a line is
BETWEEN = 0.18 * DPI  # between clips
MISSED, WRONG, SAME = OKABE_ITO[0], OKABE_ITO[3], OKABE_ITO[2]


@dataclass(frozen=True)
class Word:
    """A word and its place: `x` from the left of the text, `line` counted from the first; both words of a pair differ or neither."""

    text: str
    x: float
    line: int
    differs: bool
    width: float


def caption_strips(clips, truths, generated, frames: int = 6, title: str | None = None):
    """Each clip's frames, below them its true caption and the generated one. -> Figure

    clips: uint8 (T, H, W, 3) each, of one frame size. truths: a text a clip. generated: likewise. Words that differ are bold, underlined and
    coloured; a caption with the same words is ticked.
    """
    import matplotlib.pyplot as plt

    _check(clips, truths, generated)
    rows = film.fitted([film.Row("", spread(film.as_frames(clip), frames)) for clip in clips])
    strips = [_strip(row.frames) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    texts = [_both(truth, text, width - MARGIN) for truth, text in zip(truths, generated)]
    heights = [len(strip) + LINE * (lines + 0.3) for strip, (_, _, lines) in zip(strips, texts)]
    height = sum(heights) + BETWEEN * (len(heights) - 1)
    figure = plt.figure(figsize=(width / DPI, height / DPI), layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    y = 0.0
    for strip, (truth, text, _), tall in zip(strips, texts, heights):
        axes.imshow(strip, extent=(0, strip.shape[1], y + len(strip), y), interpolation="nearest")
        _write(axes, truth, text, y + len(strip) + 0.2 * LINE)
        y += tall + BETWEEN
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    if title:
        axes.set_title(title, loc="left", pad=6)
    return figure


def differing(truth: str, generated: str) -> tuple[list[bool], list[bool]]:
    """Of the words of each text, split at spaces: whether the other text lacks them at this place."""
    a, b = (["".join(words(word)) for word in text.split()] for text in (truth, generated))
    marks = [True] * len(a), [True] * len(b)
    for i, j, n in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        marks[0][i : i + n] = marks[1][j : j + n] = [False] * n
    return marks


def _both(truth: str, generated: str, room: float) -> tuple[list[Word], list[Word], int]:
    """Both texts laid out, the generated one below the true one, and how many lines they take."""
    missed, wrong = differing(truth, generated)
    above = _flow(truth.split(), missed, room, 0)
    first = above[-1].line + 1 if above else 1
    below = _flow(generated.split(), wrong, room, first)
    return above, below, (below[-1].line if below else first) + 1


def _flow(texts: list[str], marks: list[bool], room: float, line: int) -> list[Word]:
    placed, x, space = [], 0.0, 0.32 * FONT * DPI / 72
    for text, differs in zip(texts, marks):
        width = _width(text, differs)
        if x and x + width > room:
            x, line = 0.0, line + 1
        placed.append(Word(text, x, line, differs, width))
        x += width + space
    return placed


def _width(text: str, bold: bool) -> float:
    """In pixels of the canvas."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=FONT, weight="bold" if bold else "normal")
    points, _, _ = text_to_path.get_text_width_height_descent(text.replace("$", r"\$"), font, ismath=False)
    return points * DPI / 72


def _write(axes, truth: list[Word], generated: list[Word], y: float) -> None:
    first = truth[-1].line + 1 if truth else 1
    for name, line in (("truth", 0), ("model", first)):
        axes.text(0, y + LINE * (line + 0.75), name, color="0.4", fontsize=FONT)
    for spoken, colour in ((truth, MISSED), (generated, WRONG)):
        for word in spoken:
            _word(axes, word, y, colour)
    end = generated[-1] if generated else None
    if end is None:
        axes.text(MARGIN, y + LINE * (first + 0.75), "(nothing)", color=WRONG, style="italic", fontsize=FONT)
    elif not any(word.differs for word in truth + generated):
        tick = MARGIN + end.x + end.width + 0.08 * DPI
        axes.text(tick, y + LINE * (end.line + 0.75), "✓", color=SAME, weight="bold", fontsize=FONT)


def _word(axes, word: Word, y: float, colour: str) -> None:
    x, foot = MARGIN + word.x, y + LINE * (word.line + 0.75)
    look = {"color": colour, "weight": "bold"} if word.differs else {"color": "black"}
    axes.text(x, foot, word.text, fontsize=FONT, parse_math=False, **look)
    if word.differs:
        axes.plot([x, x + word.width], [foot + 0.16 * LINE] * 2, color=colour, lw=1.4, solid_capstyle="butt")


def _strip(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) -> one picture, the frames from left to right with white between them."""
    gap = np.full((len(frames), frames.shape[1], round(film.GAP * DPI), 3), 255, np.uint8)
    return np.concatenate(list(np.concatenate([frames, gap], axis=2)), axis=1)[:, : -gap.shape[2]]


def _check(clips, truths, generated) -> None:
    if not len(clips) or not len(clips) == len(truths) == len(generated):
        counts = f"{len(clips)} clips, {len(truths)} truths, {len(generated)} generated"
        raise ParameterError(f"captions: expected as many of each, and not 0; got {counts}")
