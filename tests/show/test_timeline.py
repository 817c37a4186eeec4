"""Timelines of untrimmed videos, and the moments of a pyramid."""

import matplotlib.pyplot as plt
import numpy as np

from ivcore.show.style import OKABE_ITO
from ivcore.show.timeline import RIGHT, WRONG, Timeline, pyramid, timelines


def test_what_is_found_has_its_place_and_says_whether_it_is_right():
    found = [(2.0, 4.0, "jump", 0.9, True), (6.0, 7.0, "wave", 0.2, False)]
    video = Timeline("a", 10.0, [(2.0, 5.0, "jump")], found, np.arange(10.0), np.linspace(0, 1, 10))
    (axis,) = timelines([video]).axes
    bars = [path.get_extents().intervalx.tolist() for bar in axis.collections[1:] for path in bar.get_paths()]
    assert bars == [[2, 5], [2, 4], [6, 7]]
    assert [text.get_text() for text in axis.texts] == ["jump", "jump\n0.90\u00a0✓", "wave\n0.20\u00a0✗"]
    colours = [plt.matplotlib.colors.to_hex(bar.get_facecolor()[0]).upper() for bar in axis.collections[2:]]
    assert colours == [RIGHT, WRONG]
    twice = Timeline("a", 10.0, [], [*found, (3.0, 6.0, "wave-off", 0.1, False)], np.arange(2.0), np.ones(2))
    (axis,) = timelines([twice]).axes
    lows = [path.get_extents().y0 for bar in axis.collections[1:] for path in bar.get_paths()]
    assert lows[0] == lows[1] > lows[2] + 0.7, "what overlaps a better one lies below it"
    assert axis.texts[-1].get_text() == "wave-off\n0.10\u00a0✗"
    with_frames = Timeline("a", 10.0, [], [], np.arange(2.0), np.ones(2), [np.zeros((4, 4, 3), np.uint8)] * 3)
    strip, _ = timelines([with_frames]).axes
    assert len(strip.images) == 3 and strip.get_xlim() == (0, 10)


def test_moments_stand_in_the_row_of_their_scale():
    points = np.array([[0, 0, 4, 1], [1, 0, 4, 1], [0, 4, 10000, 2]], float)
    axis = pyramid(points, np.array([-1, 0, 0]), np.array([[0.0, 2.0]]), ["two"]).axes[0]
    mine = axis.lines[0]
    assert mine.get_xydata().tolist() == [[1, 1], [0, 2]] and mine.get_color() == OKABE_ITO[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["segments", "every 1: 0 to 4", "every 2: 4 to ∞"]
