"""Figures of the notebooks on encoders and weights: what they draw is what they were given."""

import numpy as np
import pytest
from matplotlib import colormaps

from ivcore.errors import ParameterError
from ivcore.show.agreement import agreement, largest
from ivcore.show.attention import DARK, MARK, attention_strip, overlay
from ivcore.show.temporal_reach import reach


def black(frames=4, size=16):
    return np.zeros((frames, size, size, 3), np.uint8)


def labels(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_heaviest_weight_has_the_brightest_colour_at_its_own_place():
    weights = np.zeros((2, 2, 2))
    weights[1, 0, 1] = 0.5
    colours = overlay(black(), weights)
    brightest = (1 - DARK) * np.array(colormaps["viridis"](1.0)[:3]) * 255
    assert np.abs(colours[2:, :8, 8:] - brightest).max() <= 1
    darkest = (1 - DARK) * np.array(colormaps["viridis"](0.0)[:3]) * 255
    assert np.abs(colours[:2] - darkest).max() <= 1


def test_labels_say_how_far_attention_is_from_equal():
    peaked = np.full((2, 2, 2), 1.0)
    peaked[0, 0, 0] = 9.0
    figure = attention_strip(black(), {"equal": np.full((2, 2, 2), 0.125), "peaked": peaked})
    found = [label.replace("\n", " ") for label in labels(figure)]
    assert "equal, up to 1 × equal" in found and "peaked, up to 4.5 × equal" in found
    assert "slot 1" in found and "slot 2" not in found


def test_the_marked_token_is_framed_in_its_slot_alone():
    figure = attention_strip(black(), {"x": np.ones((2, 2, 2))}, marked=(1, 0, 1))
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    red = np.argwhere((canvas == MARK).all(-1))
    first_row = canvas.shape[0] // 2
    middle = canvas.shape[1] // 2
    assert len(red) and (red[:, 0] < first_row).all() and (red[:, 1] > middle).all()


def test_attention_of_another_grid_is_refused():
    with pytest.raises(ParameterError, match=r"\(3, 2, 2\).*does not fit a clip of \(4, 16, 16\)"):
        overlay(black(), np.ones((3, 2, 2)))


def test_agreement_writes_the_largest_difference_over_each_panel():
    x = np.array([1.0, 2.0, 3.0])
    figure = agreement(
        {"same": (x, x), "off": (x, x + np.array([0, 0.5, 0]))}, "theirs", "ours", {"off": ("other", -x)}
    )
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["same\nlargest difference 0.0e+00", "off\nlargest difference 5.0e-01"]
    assert largest(x, x - 2) == 2
    drawn = [list(line.get_ydata()) for line in figure.axes[1].lines]
    assert [-1, -2, -3] in drawn and [1, 2.5, 3] in drawn


def test_reach_leaves_white_what_did_not_change_and_shows_the_faintest_change():
    change = np.array([[0, 1, 0], [1e-9, 1, 0.5]])
    figure = reach({"local": change}, {"local": 1})
    shade = figure.axes[0].images[0].get_array()
    assert (np.asarray(shade) > 0).tolist() == [[False, True, False], [True, True, True]]
    assert figure.axes[0].images[0].origin == "lower"
    assert figure.axes[0].lines[0].get_xdata()[0] == 1
