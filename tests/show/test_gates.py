"""The figure of the gates shows what it is given."""

import pytest

from ivcore.errors import ParameterError
from ivcore.show.gates import gates_opening


def test_every_gate_is_a_line_with_its_last_value():
    lines = {"block 0": [0.0, 0.1, 0.25], "reversed": [0.0, -0.02, -0.5]}
    figure = gates_opening([1, 2, 3], {"attention gates": lines, "feed-forward gates": lines}, title="gates")
    panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["attention gates", "feed-forward gates"]
    texts = [text.get_text() for text in panels[1].get_legend().get_texts()]
    assert texts == ["block 0: +0.25", "reversed: −0.50"]
    assert list(panels[0].lines[2].get_ydata()) == lines["reversed"]


def test_values_that_fit_no_step_are_refused():
    with pytest.raises(ParameterError, match="a value for each of 2 steps"):
        gates_opening([1, 2], {"attention": {"a": [0.0]}})
