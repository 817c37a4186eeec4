"""The figure of the UniBlocks ablation: a line through the means, a dot for each run of several, places by name."""

import pytest

from ivcore.show.uniblocks import Measure, block_panels

MEASURES = [Measure("order", "order", 0.5, "shuffled"), Measure("ms", "ms a clip")]


def run(local, layers, order, seed=0):
    return {"local": local, "global_layers": layers, "seed": seed, "order": order, "shuffled": 0.5, "ms": 1.0}


@pytest.fixture
def figure():
    runs = [run(False, 0, 0.5), run(False, 3, 0.6), run(False, 3, 0.8, 1), run(True, 1, 0.9)]
    return block_panels(runs, MEASURES, 3)


def lines(figure, panel):
    return [list(line.get_ydata()) for line in figure.axes[panel].lines if len(line.get_ydata())]


def test_a_line_goes_through_the_means_over_seeds(figure):
    drawn = lines(figure, 0)
    assert any(values == pytest.approx([0.5, 0.7]) for values in drawn if len(values) == 2)
    assert any(values == pytest.approx([0.6, 0.8]) for values in drawn if len(values) == 2)


def test_places_are_named_and_chance_is_drawn_where_there_is_one(figure):
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["none", "last", "all 3"]
    assert [0.5, 0.5] in lines(figure, 0)
    assert len(lines(figure, 1)) == len(lines(figure, 0)) - 3  # no chance, no control of either kind


def test_everything_is_within_its_panel(figure):
    for panel in figure.axes:
        low, high = panel.get_ylim()
        assert all(low <= y <= high for line in panel.lines for y in line.get_ydata())


def test_one_run_alone_is_drawn_too():
    drawn = block_panels([run(True, 3, 0.0)], MEASURES, 3, "one")
    drawn.canvas.draw()
    assert len(drawn.axes) == len(MEASURES)
    assert all(any(len(line.get_xdata()) for line in panel.lines) for panel in drawn.axes)
