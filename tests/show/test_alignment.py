"""Figures of the notebook on alignment: the numbers that they write and the bars and lines that they draw are those given."""

import numpy as np
import torch
from matplotlib.colors import to_hex

from ivcore.show.alignment import RIGHT, WRONG, against_batch_size, floors, pushes, tables


def framed(panel):
    return [(round(p.get_y() + 0.5), round(p.get_x() + 0.5)) for p in panel.patches]


def test_a_table_writes_every_number_in_its_own_cell():
    values = np.array([[0.1, -0.2], [0.34, 0.456]])
    panel = tables({"a": values, "b": torch.tensor(values)}, ["r", "s"], ["c", "d"]).axes[1]
    written = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in panel.texts}
    assert written == {(0, 0): "0.10", (0, 1): "-0.20", (1, 0): "0.34", (1, 1): "0.46"}


def test_a_square_table_frames_its_diagonal_and_another_nothing():
    square = tables({"a": np.eye(3)}, "rst", "cde").axes[0]
    assert framed(square) == [(0, 0), (1, 1), (2, 2)]
    wide = tables({"a": np.eye(2, 3)}, "rs", "cde").axes[0]
    assert framed(wide) == []
    assert framed(tables({"a": np.eye(2, 3)}, "rs", "cde", framed=[(1, 2)]).axes[0]) == [(1, 2)]


def test_rows_are_named_once_and_columns_below_every_table():
    first, second = tables({"a": np.eye(2), "b": np.eye(2)}, ["r", "s"], ["c", "d"]).axes
    assert [[t.get_text() for t in a.get_yticklabels()] for a in (first, second)] == [["r", "s"], ["", ""]]
    assert [t.get_text() for t in second.get_xticklabels()] == ["c", "d"]


def test_text_stays_readable_on_dark_cells_and_in_a_constant_table():
    light, dark = tables({"a": np.array([[0.0, 1.0]])}, ["r"], ["c", "d"]).axes[0].texts
    assert (light.get_color(), dark.get_color()) == ("black", "white")
    tables({"a": np.ones((2, 2))}, "rs", "cd").canvas.draw()


def test_bars_are_as_long_as_their_numbers_and_the_right_one_is_blue():
    figure = pushes({"cosine": [-0.5, 0.25, 0.0], "probability": [0.2, 0.3, 0.5]}, "abc", right=1)
    cosine, probability = figure.axes
    assert [bar.get_width() for bar in cosine.patches] == [-0.5, 0.25, 0.0]
    assert [to_hex(bar.get_facecolor()).upper() for bar in probability.patches] == [WRONG, RIGHT, WRONG]
    assert probability.get_xlim() == (0, 1.05) and cosine.get_xlim()[0] < -0.5


def test_losses_start_at_step_one_and_marks_are_dashed_at_their_values():
    axes = floors({"a": [2.0, 1.0, 0.5]}, {"chance": 2.1}).axes[0]
    curve, mark = axes.lines
    assert curve.get_xdata().tolist() == [1, 2, 3] and curve.get_ydata().tolist() == [2, 1, 0.5]
    assert mark.get_linestyle() == "--" and set(mark.get_ydata()) == {2.1}
    assert [text.get_text() for text in axes.texts] == ["chance"] and axes.get_ylim()[1] > 2.1


def test_a_mark_over_batch_sizes_may_be_one_number_for_all():
    axes = against_batch_size([2, 4], {"a": [1, 2]}, "nats", {"log N": [0.7, 1.4], "limit": 4.0}).axes[0]
    drawn = {line.get_label(): (line.get_linestyle(), line.get_ydata().tolist()) for line in axes.lines}
    assert drawn == {"a": ("-", [1, 2]), "log N": ("--", [0.7, 1.4]), "limit": ("--", [4.0, 4.0])}
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "4"]
