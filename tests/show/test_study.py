"""Panels of a study: means joined, seeds as dots, ticks that can be read."""

import pytest
from matplotlib.figure import Figure

from ivcore.errors import ParameterError
from ivcore.show.study import Panel, study

LINE = {"tube": [(0.5, [0.2, 0.4]), (0.875, [0.5]), (0.89, [0.6])]}


def test_means_are_joined_and_seeds_are_dots():
    figure = study([Panel("hidden", LINE)], "top-1", {"chance": 0.1}, "title")
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    mean, dots, level = axes.lines
    assert list(mean.get_ydata()) == pytest.approx([0.3, 0.5, 0.6]) and mean.get_linestyle() == "-"
    assert list(dots.get_ydata()) == [0.2, 0.4] and list(dots.get_xdata()) == [0.5, 0.5]
    assert level.get_ydata()[0] == 0.1 and axes.get_ylim()[0] == 0


def test_ticks_are_the_tried_values_as_far_as_they_fit():
    figure = study([Panel("hidden", LINE, "{:.0%}")], "top-1")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["50%", "88%"]
    clips = {"small": [(120, [0.1]), (480, [0.2]), (1920, [0.3])]}
    figure = study([Panel("clips", clips, log=True)], "top-1")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["120", "480", "1920"]


def test_a_series_keeps_its_colour_from_panel_to_panel():
    other = {"random": [(0.1, [0.3])], "tube": [(0.0, [0.3])]}
    left, right = study([Panel("hidden", LINE), Panel("leak", other, joined=False)], "top-1").axes
    colours = {line.get_label(): line.get_color() for line in right.lines}
    assert colours["tube"] == left.lines[0].get_color() != colours["random"]
    assert all(line.get_linestyle() == "None" for line in right.lines)


@pytest.mark.parametrize("panels", [[], [Panel("x", {"a": []})]])
def test_nothing_to_show(panels):
    with pytest.raises(ParameterError, match="panels"):
        study(panels, "y")
