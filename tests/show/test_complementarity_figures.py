"""Figures of what two models know apart: their bars, numbers and frames are those of the data."""

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from ivcore.errors import ParameterError
from ivcore.metrics.overlap import ClassGain, ErrorOverlap
from ivcore.show.complementarity import cka_heatmap, overlap_bars
from ivcore.show.per_class import class_gain_bars


def texts(figure):
    return [each.get_text() for each in figure.findobj(Text) if each.get_text() and each.get_visible()]


GAINS = [ClassGain("slide left", 20, 0.9, 0.5), ClassGain("red star", 20, 0.25, 0.75), ClassGain("grow", 20, 0.5, 0.5)]
KINDS = {"slide left": "motion", "grow": "motion", "red star": "appearance"}


def test_gains_are_sorted_and_told_apart_by_colour_and_hatch():
    figure = class_gain_bars(GAINS, KINDS, "masked", "multimodal")
    axes = figure.axes[0]
    bars = axes.patches
    assert [bar.get_width() for bar in bars] == pytest.approx([50, 0, -40])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["red star", "grow", "slide left"]
    assert axes.yaxis_inverted()
    assert bars[1].get_facecolor() == bars[2].get_facecolor() != bars[0].get_facecolor()
    assert bars[1].get_hatch() != bars[0].get_hatch()
    found = texts(figure)
    assert {"25 → 75", "90 → 50", "motion: −20.0 on average, 2 classes"} <= set(found)
    assert any(text.startswith("appearance: +50.0") for text in found)


def test_of_many_classes_both_ends_are_shown():
    gains = [ClassGain(f"class {n}", 5, 0.5, n / 100) for n in range(100)]
    figure = class_gain_bars(gains, most=5)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["class 99", "class 98", "class 97", "class 1", "class 0"]
    assert "the 3 greatest gains and 2 greatest losses of 100 classes" in texts(figure)


def test_classes_of_no_kind_are_other_and_too_many_kinds_refused():
    figure = class_gain_bars(GAINS, {"slide left": "motion", "grow": "motion"})
    assert any(text.startswith("other: +50.0") for text in texts(figure))
    with pytest.raises(ParameterError, match="at most 4"):
        many = [ClassGain(str(n), 1, 0, 1) for n in range(5)]
        class_gain_bars(many, {str(n): f"kind {n}" for n in range(5)})
    with pytest.raises(ParameterError, match="one class or more"):
        class_gain_bars([])


def test_overlap_bars_fill_all_clips():
    rows = {"all": ErrorOverlap(50, 30, 10, 10, 4), "motion": ErrorOverlap(10, 0, 0, 0, 0)}
    figure = overlap_bars(rows, "masked", "multimodal")
    bars = figure.axes[0].patches
    first = [bar for bar in bars if bar.get_y() < 0.5]
    assert [bar.get_width() for bar in first] == pytest.approx([50, 30, 10, 10])
    assert [bar.get_x() for bar in first] == pytest.approx([0, 50, 80, 90])
    found = texts(figure)
    assert {"50", "30", "only masked", "only multimodal", "neither", "both right"} <= set(found)
    assert any("90.0" in text and "0.09" in text for text in found)  # oracle and kappa
    assert any("100.0" in text and "–" in text for text in found)  # no kappa where both are always right


def test_a_heatmap_has_the_first_layers_bottom_left_and_frames_each_rows_greatest():
    matrix = torch.tensor([[0.9, 0.2, 0.1], [0.1, -0.001, 1.0]])
    figure = cka_heatmap(matrix, "masked", "multimodal", (["b0", "b1"], [1, 2, 3]))
    axes = figure.axes[0]
    assert np.allclose(axes.images[0].get_array(), matrix)
    assert axes.images[0].origin == "lower" and axes.images[0].get_clim() == (0, 1)
    frames = [each.get_xy() for each in axes.patches if isinstance(each, Rectangle)]
    assert frames == [(-0.5, -0.5), (1.5, 0.5)]
    assert {".90", ".00", "1.00", "b1", "3"} <= set(texts(figure))


def test_figures_refuse_what_does_not_fit():
    with pytest.raises(ParameterError, match=r"expected \(layers, layers\)"):
        cka_heatmap(torch.zeros(3), "a", "b")
    with pytest.raises(ParameterError, match="names: 1 and 3 do not fit"):
        cka_heatmap(torch.zeros(2, 3), "a", "b", (["x"], [1, 2, 3]))
    with pytest.raises(ParameterError, match="one row or more"):
        overlap_bars({})
