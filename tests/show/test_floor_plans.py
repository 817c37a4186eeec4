"""Figures of navigation: what they show is what they were given."""

import matplotlib
import numpy as np

from ivcore.data.navigation.plans import plan_named
from ivcore.show.floor_plans import floor_plan, intervals, panorama
from ivcore.show.style import OKABE_ITO


def test_ways_are_drawn_in_metres_and_named():
    plan = plan_named("plan-0-0-0000")
    ways = {"reference": [(1, 0, 2), (3, 0, 2)], "planner": [(1, 0, 2), (1, 0, 4)]}
    figure = floor_plan([plan, plan], [ways, ways], ["walk to the red box", "go " * 60])
    for axes in figure.axes:
        drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
        assert drawn["reference"] == [[1, 2], [3, 2]] and drawn["planner"] == [[1, 2], [1, 4]]
        assert tuple(axes.patches[0].center) == (3, 2) and axes.get_ylim()[0] > axes.get_ylim()[1]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].startswith("walk to the red box") and titles[0].count("\n") == titles[1].count("\n") > 1


def test_the_experts_choice_has_a_frame_and_the_planners_is_named():
    figure = panorama(np.zeros((4, 8, 8, 3), np.uint8), [0.1, 0.6, 0.1, 0.1, 0.1], 2, "walk")
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert [label.split("\n")[0] for label in labels] == ["0.10", "0.60", "0.10", "0.10", "0.10"]
    assert [("planner" in label) for label in labels] == [False, True, False, False, False]
    framed = [
        matplotlib.colors.to_hex(axes.spines["left"].get_edgecolor()).upper() == OKABE_ITO[3] for axes in figure.axes
    ]
    assert framed == [False, False, True, False, False]


def test_intervals_reach_from_low_to_high():
    axes = intervals({"a": (0.5, 0.4, 0.7), "b": (0.2, 0.1, 0.3)}, "success", {"chance": 0.05}).axes[0]
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert [0.4, 0.7] in [list(span) for span in spans] and [0.05, 0.05] in [list(span) for span in spans]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
