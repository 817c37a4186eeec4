"""Rows of designs: dots at the means, a dot a seed, and the same line for a level in every panel."""

import matplotlib.pyplot as plt
import pytest

from ivcore.errors import ParameterError
from ivcore.show.designs import Measure, design_dots

ROWS = {"heads": [0.7, 0.8], "both": [0.9]}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def dots(panel):
    return [(list(line.get_xdata()), line.get_ydata()[0]) for line in panel.lines if line.get_marker() == "o"]


def test_means_and_seeds_lie_in_the_row_of_their_design():
    (panel,) = design_dots([Measure("all", ROWS)], "top-1").axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["heads", "both"]
    assert dots(panel) == [([pytest.approx(0.75)], 0), ([0.7, 0.8], 0), ([0.9], 1)]
    assert [text.get_text() for text in panel.texts] == ["0.750", "0.900"]
    top, bottom = panel.get_ylim()[::-1]
    assert top < 0 < 1 < bottom and panel.get_xlabel() == "top-1"


def test_a_level_looks_alike_in_every_panel_and_is_within_sight():
    one = Measure("all", ROWS, {"ensemble": 0.6, "single": 0.95})
    other = Measure("motion", ROWS, {"single": 0.5})
    figure = design_dots([one, other])
    lines = [{x.get_label(): x for x in panel.lines} for panel in figure.axes]
    assert lines[0]["single"].get_linestyle() == lines[1]["single"].get_linestyle()
    assert lines[0]["single"].get_color() == lines[1]["single"].get_color()
    assert lines[0]["single"].get_linestyle() != lines[0]["ensemble"].get_linestyle()
    for panel, measure in zip(figure.axes, (one, other)):
        low, high = panel.get_xlim()
        assert all(low < value < high for value in measure.levels.values())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ensemble", "single"]


def test_one_value_in_all_rows_can_be_drawn():
    (panel,) = design_dots([Measure("all", {"a": [0.5], "b": [0.5]})]).axes
    assert panel.get_xlim()[0] < 0.5 < panel.get_xlim()[1]


@pytest.mark.parametrize("measures", [[], [Measure("x", {})], [Measure("x", ROWS), Measure("y", {"both": [1.0]})]])  # fmt: skip
def test_nothing_to_show_or_rows_that_differ(measures):
    with pytest.raises(ParameterError, match="measures: "):
        design_dots(measures)
