"""What ranks hold, measured on processes that torchrun starts."""

import pytest

from ivcore.errors import UserError
from ivcore.stages import rank_memory

QUICK = {"size": "tiny", "batch": 4, "steps": 6}


def test_two_ranks_hold_weights_and_moments_each(tmp_path):
    found = rank_memory.measured(2, tmp_path, engine="ddp", **QUICK)
    assert [row["held"] for row in found["ranks"]] == [pytest.approx(12 * found["parameters"], rel=0.1)] * 2
    assert all(row["seconds"] > 0 for row in found["ranks"]) and found["parameters"] == 975_296


def test_a_rank_that_dies_ends_the_launch_and_is_named(tmp_path):
    told = rank_memory.launched(2, tmp_path, engine="ddp", dies=4, **QUICK)
    assert told.status != 0 and set(told.found) == {"died"}
    assert 0 < told.ended - told.found["died"] < 120
    assert "Signal 9 (SIGKILL)" in told.said


def test_a_launch_that_fails_is_an_error_with_its_last_line(tmp_path):
    with pytest.raises(UserError, match="on 1 ranks ended with status 1"):
        rank_memory.measured(1, tmp_path, engine="steam", **QUICK)
