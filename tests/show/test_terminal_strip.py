"""Two pixels a character, no wider than the terminal."""

import re

import numpy as np

from ivcore.show.terminal_strip import BLOCK, LINES, terminal_strip


def cells(line: str) -> int:
    return len(re.sub(r"\033\[[0-9;]*m", "", line))


def test_upper_and_lower_pixel_have_their_colours():
    frame = np.zeros((1, 2 * LINES, 4, 3), np.uint8)
    frame[0, 0], frame[0, 1] = (255, 0, 0), (0, 0, 255)
    lines = terminal_strip(frame, 80).splitlines()
    assert len(lines) == LINES and lines[0].startswith(f"\033[38;2;255;0;0;48;2;0;0;255m{BLOCK}")
    assert lines[1].startswith("\033[38;2;0;0;0;48;2;0;0;0m") and cells(lines[0]) == 4


def test_frames_that_do_not_fit_are_left_out_evenly():
    frames = np.zeros((8, 2 * LINES, 2 * LINES, 3), np.uint8)
    frames[:, :, :, 0] = np.arange(8)[:, None, None]
    line = terminal_strip(frames, 3 * (2 * LINES + 1) - 1).splitlines()[0]
    assert cells(line) == 3 * (2 * LINES + 1) - 1
    assert re.findall(r"38;2;(\d+);", line)[:: 2 * LINES] == ["0", "4", "7"]
    assert max(map(cells, terminal_strip(frames, 5).splitlines())) <= 5
