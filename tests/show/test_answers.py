"""The bars of what a model says about a clip."""

import numpy as np

from ivcore.show.answers import answer_bars


def test_the_likeliest_come_first_and_the_truth_has_its_own_colour():
    figure = answer_bars(np.zeros((12, 8, 10, 3), np.uint8), ["a $ b", "c", "d"], [0.2, 0.7, 0.1], truth="c", most=2)
    strip, bars = figure.axes
    assert [text.get_text() for text in bars.get_yticklabels()] == ["✓ c", r"a \$ b"]
    assert [round(bar.get_width(), 3) for bar in bars.patches] == [0.7, 0.2]
    assert bars.patches[0].get_facecolor() != bars.patches[1].get_facecolor()
    assert strip.images[0].get_array().shape[0] == 8


def test_the_truth_is_shown_however_unlikely():
    figure = answer_bars(
        np.zeros((2, 8, 8, 3), np.uint8), ["a", "b", "c", "d"], [0.5, 0.3, 0.2, 0.0], truth="d", most=2
    )
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["a", "✓ d"]
