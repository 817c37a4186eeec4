"""Means over seeds: every seed is a dot, a level looks alike in every panel, ticks and names can be read."""

import itertools

import pytest
from matplotlib.figure import Figure

from ivcore.errors import ParameterError
from ivcore.show.means import Panel, Rows, dots, lines

ROWS = {"heads": [0.7, 0.8], "both": [0.9]}
LINE = {"tube": [(0.5, [0.2, 0.4]), (0.875, [0.5]), (0.89, [0.6])]}


def test_means_are_joined_and_seeds_are_dots():
    figure = lines([Panel("hidden", LINE)], "top-1", {"chance": 0.1}, "title")
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    mean, dots, level = axes.lines
    assert list(mean.get_ydata()) == pytest.approx([0.3, 0.5, 0.6]) and mean.get_linestyle() == "-"
    assert list(dots.get_ydata()) == [0.2, 0.4] and list(dots.get_xdata()) == [0.5, 0.5]
    assert level.get_ydata()[0] == 0.1 and axes.get_ylim()[0] == 0


def test_ticks_are_the_tried_values_as_far_as_they_fit():
    figure = lines([Panel("hidden", LINE, "{:.0%}")], "top-1")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["50%", "88%"]
    clips = {"small": [(120, [0.1]), (480, [0.2]), (1920, [0.3])]}
    figure = lines([Panel("clips", clips, log=True)], "top-1")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["120", "480", "1920"]


def test_a_series_keeps_its_colour_from_panel_to_panel():
    other = {"random": [(0.1, [0.3])], "tube": [(0.0, [0.3])]}
    left, right = lines([Panel("hidden", LINE), Panel("leak", other, joined=False)], "top-1").axes
    colours = {line.get_label(): line.get_color() for line in right.lines}
    assert colours["tube"] == left.lines[0].get_color() != colours["random"]
    assert all(line.get_linestyle() == "None" for line in right.lines)


@pytest.mark.parametrize("panels", [[], [Panel("x", {"a": []})]])
def test_lines_of_nothing(panels):
    with pytest.raises(ParameterError, match="panels"):
        lines(panels, "y")


def test_lines_share_one_legend_and_a_line_at_zero_is_whole():
    figure = lines([Panel("ratio", {"tube": [(0.5, [0]), (0.9, [0])], "frame": [(0.5, [0.6])]})], "leak")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["tube", "frame"]
    assert not figure.axes[0].lines[0].get_clip_on() and figure.axes[0].get_ylim()[0] == 0


def test_shared_panels_show_every_point():
    small, large = Panel("x", {"a": [(1, [0.1])]}), Panel("y", {"a": [(1, [0.9])]})
    assert lines([small, large], "top-1").axes[0].get_ylim()[1] > 0.9


def texts(figure):
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))}


def test_bars_are_means_and_dots_are_seeds():
    figure = dots({"pretrained": [80, 84], "scratch": [60]}, "top-1, %", levels={"chance": 7})
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [82, 60]
    assert [80, 84] in [sorted(line.get_xdata()) for line in axes.lines]
    assert {"82 ± 2.8", "60", "chance", "pretrained", "scratch"} <= texts(figure)


def test_a_condition_keeps_its_colour_in_all_groups():
    pair = {"pretrained": [2.0], "scratch": [1.0]}
    figure = dots({"fine-tuning": pair, "probe": pair})
    bars = figure.axes[0].patches
    assert bars[0].get_facecolor() == bars[2].get_facecolor() != bars[1].get_facecolor()
    assert "probe · scratch" in texts(figure)


def test_nothing_to_compare_is_an_empty_figure():
    figure = dots({}, levels={"chance": None}, title="nothing yet")
    assert not figure.axes[0].patches and "nothing yet" in texts(figure)


def circles(panel):
    return [(list(line.get_xdata()), line.get_ydata()[0]) for line in panel.lines if line.get_marker() == "o"]


def test_panels_share_their_rows():
    panels = [Rows("all", ROWS), Rows("motion", ROWS)]
    panel, _ = dots(panels, "top-1", form="{:.3f}", from_zero=False).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["heads", "both"]
    assert circles(panel) == [([pytest.approx(0.75)], 0), ([0.7, 0.8], 0), ([0.9], 1)]
    assert [text.get_text() for text in panel.texts] == ["0.750", "0.900"]
    top, bottom = panel.get_ylim()[::-1]
    assert top < 0 < 1 < bottom and panel.get_xlabel() == "top-1"


def test_a_level_looks_alike_in_every_panel_and_is_within_sight():
    one = Rows("all", ROWS, {"ensemble": 0.6, "single": 0.95})
    other = Rows("motion", ROWS, {"single": 0.5})
    figure = dots([one, other], from_zero=False)
    drawn = [{x.get_label(): x for x in panel.lines} for panel in figure.axes]
    assert drawn[0]["single"].get_linestyle() == drawn[1]["single"].get_linestyle()
    assert drawn[0]["single"].get_color() == drawn[1]["single"].get_color()
    assert drawn[0]["single"].get_linestyle() != drawn[0]["ensemble"].get_linestyle()
    for panel, measure in zip(figure.axes, (one, other)):
        low, high = panel.get_xlim()
        assert all(low < value < high for value in measure.levels.values())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ensemble", "single"]


def test_one_value_in_all_rows_can_be_drawn():
    (panel,) = dots({"a": [0.5], "b": [0.5]}, from_zero=False).axes
    assert panel.get_xlim()[0] < 0.5 < panel.get_xlim()[1]


@pytest.mark.parametrize("panels", [[], [Rows("x", ROWS), Rows("y", {"both": [1.0]})]])  # fmt: skip
def test_no_panel_or_rows_that_differ(panels):
    with pytest.raises(ParameterError, match="rows: "):
        dots(panels)


def test_an_axis_may_begin_near_the_values():
    high = [Panel("openness", {"evidence": [(0, [0.7]), (1, [0.72])]})]
    assert (
        lines(high, "F1").axes[0].get_ylim()[0] == 0 and lines(high, "F1", from_zero=False).axes[0].get_ylim()[0] > 0.6
    )


def test_numbers_below_narrow_panels_do_not_touch():
    small = {name: [0.113 + i / 100] for i, name in enumerate(("shapes", "hybrid:shapes+creatures", "hybrid"))}
    figure = dots([Rows(f"panel {i}", small, {"chance": 0.1, "untrained": 0.143}) for i in range(3)], "top-1")
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        shown = [box for box in boxes if axes.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1 + 1]
        assert len(shown) > 1 and all(left.x1 + 2 < right.x0 for left, right in itertools.pairwise(shown))
