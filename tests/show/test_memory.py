"""Bars of memory: parts side by side, their sum, and the measurement on top."""

import pytest

from ivcore.errors import ParameterError
from ivcore.show.memory import memory_bars

BARS = {"ddp": {"weights": 4.0, "moments": 8.0}, "zero1": {"weights": 4.0, "moments": 2.0}}


def test_parts_lie_side_by_side_and_the_sum_is_written():
    axes = memory_bars(BARS, unit="GiB").axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0.0, 4.0), (4.0, 8.0), (0.0, 4.0), (4.0, 2.0)]
    assert [text.get_text() for text in axes.texts] == ["12", "6"] and axes.get_xlabel() == "GiB"
    assert axes.get_legend_handles_labels()[1] == ["weights", "moments"]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in axes.patches}) == 2  # a part is told by hatch as well


def test_a_measurement_and_what_a_device_has_are_marked():
    axes = memory_bars(BARS, unit="MB", limit=10.0, measured={"ddp": 12.5}).axes[0]
    assert {"measured", "device memory"} <= set(axes.get_legend_handles_labels()[1])
    assert [text.get_text() for text in axes.texts] == ["12, measured 12.5", "6"]


def test_no_bar_is_refused():
    with pytest.raises(ParameterError, match="bars: expected one engine or more"):
        memory_bars({}, unit="GiB")
