"""Tokens in a plane."""

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.show.token_plane import token_plane

AXES, LIMITS = ("how red", "how blue"), (-2, 2)


def test_each_kind_of_token_goes_from_where_it_was_to_where_it_is():
    before = np.array([[1, 0], [1, 0], [0, 1]])
    after = before + np.array([0.5, -0.5])
    figure = token_plane({"clip 1": (before, before), "clip 2": (before, after)}, ["red", "red", "blue"], AXES, LIMITS)
    still, moved = figure.axes
    marks = [line.get_xydata()[0].tolist() for line in moved.lines if len(line.get_xydata()) == 1]
    assert marks == [[1, 0], [1.5, -0.5], [0, 1], [0.5, 0.5]]
    assert len(moved.texts) == 2 and not still.texts  # arrows
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["red", "blue"]
    assert still.get_xlim() == moved.get_ylim() == LIMITS


def test_more_kinds_than_marks_are_refused():
    with pytest.raises(ParameterError, match="at most 3"):
        token_plane({"clip": (np.zeros((4, 2)), np.zeros((4, 2)))}, ["a", "b", "c", "d"], AXES, LIMITS)
