"""Frames in a terminal: each character shows two pixels, the upper as foreground and the lower as background colour."""

from __future__ import annotations

import numpy as np

BLOCK = "▀"
LINES = 7  # lines of text for one frame


def terminal_strip(frames: np.ndarray, columns: int) -> str:
    """uint8 (T, H, W, 3) -> LINES lines of text with 24-bit colours, at most `columns` wide; frames that do not fit are
    left out.
    """
    from ivcore.video.resize import resize

    height, width = frames.shape[1:3]
    wide = max(2, round(2 * LINES * width / height))
    fitting = max(1, (columns + 1) // (wide + 1))
    frames = frames[np.linspace(0, len(frames) - 1, min(fitting, len(frames))).round().astype(int)]
    small = resize(frames, 2 * LINES, min(wide, columns))
    return "\n".join(" ".join(_line(frame[2 * i], frame[2 * i + 1]) for frame in small) for i in range(LINES))


def _line(upper: np.ndarray, lower: np.ndarray) -> str:
    cells = (f"\033[38;2;{r};{g};{b};48;2;{u};{v};{w}m{BLOCK}" for (r, g, b), (u, v, w) in zip(upper, lower))
    return "".join(cells) + "\033[0m"
