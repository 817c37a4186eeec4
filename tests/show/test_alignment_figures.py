"""Figures of video-language pretraining: similarity matrices, retrieval curves, captions beside the truth."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from ivcore.errors import ParameterError
from ivcore.show.captions import MISSED, WRONG, caption_strips, differing
from ivcore.show.similarity import retrieval_curve, similarity_matrices


def marks(panel):
    """Places (clip, caption) of the dots, then of the crosses."""
    found = [each for each in panel.collections if isinstance(each, PathCollection)]
    return [{(int(y), int(x)) for x, y in each.get_offsets()} for each in found]


def test_matrices_share_a_scale_and_mark_what_each_clip_finds():
    before, after = np.zeros((3, 3)), np.eye(3)
    before[:, 1] = 0.5
    figure = similarity_matrices({"before": before, "after": after})
    first, second = figure.axes[:2]
    assert {panel.images[0].get_clim() for panel in (first, second)} == {(0.0, 1.0)}
    assert marks(first) == [{(1, 1)}, {(0, 1), (2, 1)}]
    assert marks(second) == [{(0, 0), (1, 1), (2, 2)}, set()]
    titles = [panel.get_title(loc="left") for panel in (first, second)]
    assert titles == ["before\nrecall at 1: 33 %", "after\nrecall at 1: 100 %"]


def test_few_captions_are_written_and_many_are_numbered():
    few = similarity_matrices({"after": np.eye(2)}, ["slides left", "slides right"]).axes[0]
    assert [t.get_text() for t in few.get_yticklabels()] == ["slides left", "slides right"]
    many = similarity_matrices({"after": np.eye(24)}, [f"caption {n}" for n in range(24)]).axes[0]
    assert [t.get_text() for t in many.get_yticklabels()] == ["0", "8", "16"]


def test_marks_lie_inside_their_cells():
    for count in (8, 24, 32):
        panel = similarity_matrices({"after": np.eye(count)}).axes[0]
        panel.figure.draw_without_rendering()
        cell = panel.get_window_extent().width / count / panel.figure.dpi * 72
        assert np.sqrt(panel.collections[0].get_sizes()[0]) < cell


@pytest.mark.parametrize("bad", [np.ones((3, 4)), np.ones(3), np.ones((0, 0))])
def test_a_matrix_that_is_not_square_is_named(bad):
    with pytest.raises(ParameterError, match=r"after: expected \(N, N\)"):
        similarity_matrices({"after": bad})


def test_a_retrieval_curve_is_in_per_cent_with_chance():
    (axes,) = retrieval_curve([0, 10], {"text to video": [0.02, 0.5], "video to text": [0.01, 0.4]}, 1 / 64).axes
    assert axes.lines[0].get_ydata().tolist() == [2, 50]
    assert axes.lines[2].get_ydata()[0] == pytest.approx(100 / 64)
    assert [t.get_text() for t in axes.get_legend().texts] == [
        "text to video  50.0 %",
        "video to text  40.0 %",
        "chance  1.6 %",
    ]


def test_words_that_differ_are_found_at_their_place():
    truth, generated = differing("a red square slides left", "A red square slides right.")
    assert truth == generated == [False] * 4 + [True]
    assert differing("here a ring grows", "a ring grows") == ([True, False, False, False], [False] * 3)
    assert differing("a ring", "") == ([True, True], [])


def written(truth, generated):
    """The words of a figure of one clip, and the figure."""
    clip = np.zeros((4, 16, 16, 3), np.uint8)
    figure = caption_strips([clip], [truth], [generated])
    return [text for text in figure.findobj(Text) if text.get_text()], figure


def test_differing_words_are_coloured_and_bold():
    words, _ = written("a ring grows", "a ring shrinks")
    looks = {text.get_text(): (text.get_color(), text.get_weight()) for text in words}
    assert looks["grows"] == (MISSED, "bold") and looks["shrinks"] == (WRONG, "bold")
    assert looks["ring"] == ("black", "normal")


def test_the_same_words_are_ticked_and_an_empty_text_is_named():
    def texts(truth, generated):
        return {text.get_text() for text in written(truth, generated)[0]}

    assert "✓" in texts("a ring grows", "A ring grows.")
    assert "✓" not in texts("a ring grows", "a ring")
    assert "(nothing)" in texts("a ring grows", "")


def test_long_texts_are_wrapped_within_the_figure():
    words, figure = written("counter-clockwise wwww", "costs $5 and $6 in all wwww " * 6)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in words]
    room = figure.bbox
    assert all(box.x1 <= room.x1 + 2 and box.y0 >= room.y0 - 2 for box in boxes)
    lines = {round(box.y0) for text, box in zip(words, boxes) if "wwww" in text.get_text()}
    assert len(lines) > 2


def test_captions_need_one_truth_and_one_text_a_clip():
    with pytest.raises(ParameterError, match="1 clips, 2 truths, 1 generated"):
        caption_strips([np.zeros((4, 16, 16, 3), np.uint8)], ["a", "b"], ["a"])
