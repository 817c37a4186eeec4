"""Figures of the unknown: a triangle for each distribution, a histogram for each pair of sets."""

import numpy as np

from ivcore.show.unknown import Compared, known_against_unknown, triangles


def test_points_gather_where_the_evidence_is():
    alphas = {"nothing": np.ones(3), "much of one": np.array([60.0, 1, 1])}
    figure = triangles(alphas, ["A", "B", "C"])
    spread = [axes.lines[1].get_xdata().std() for axes in figure.axes]
    assert [axes.get_title() for axes in figure.axes] == list(alphas) and spread[0] > 5 * spread[1]


def test_a_row_shares_its_axis_which_is_logarithmic_where_values_crowd_at_zero():
    near, far = np.geomspace(0.001, 0.01, 90), np.full(10, 0.9)
    rows = {"evidence": {"a": Compared(near, far, 0.05), "b": Compared(near, near, 0.05)}}
    rows["softmax"] = {"a": Compared(near + 0.5, far, 0.6), "b": Compared(far, far, 0.6)}
    figure = known_against_unknown(rows)
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log", "linear", "linear"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "known classes",
        "unknown classes",
        "threshold",
    ]
