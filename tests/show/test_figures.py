"""Every figure shows what it says: its numbers, its pixels and its errors are checked, not only that it draws."""

import itertools
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.text import Text

from ivcore.errors import ParameterError
from ivcore.show import explore, style
from ivcore.show.clips import clip_grid, film_strip
from ivcore.show.confusion import confusion_matrix
from ivcore.show.curves import training_curves
from ivcore.show.frames import as_frames
from ivcore.show.masks import hide, mask_film_strip
from ivcore.show.reconstructions import reconstruction_strip


def clip(frames=16, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (frames, size, size, 3), np.uint8)


def canvas(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def texts(figure):
    return [each.get_text() for each in figure.findobj(Text) if each.get_text() and each.get_visible()]


def test_a_strip_shows_every_asked_frame_whole_and_in_order():
    video = np.arange(1, 17, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    drawn = canvas(film_strip(video, every=3))
    seen = [value for value in drawn[-10, ::5, 0] if value != 255]
    assert list(dict.fromkeys(seen)) == [1, 4, 7, 10, 13, 16]


def test_a_strip_wraps_after_eight_and_numbers_its_frames():
    figure = film_strip(clip(16), numbers=range(0, 64, 4))
    assert [t for t in texts(figure) if t.isdigit()] == [str(n) for n in range(0, 64, 4)]
    assert canvas(figure).shape[0] > 2 * 32


def test_pixels_are_magnified_by_whole_numbers_and_not_blurred():
    video = clip(2, 8)
    drawn = canvas(film_strip(video, captions=["", ""]))
    factor = (drawn.shape[0] - 30) // 8
    first = drawn[30 : 30 + 8 * factor, : 8 * factor]
    assert np.array_equal(first[::factor, ::factor], video[0])
    assert np.array_equal(first[factor - 1 :: factor, factor - 1 :: factor], video[0])


def test_large_frames_are_made_smaller():
    figure = film_strip(clip(8, 300))
    assert canvas(figure).shape[1] < 9 * style.DPI


def test_float_clips_are_drawn_as_the_same_pixels():
    video = clip(4, 8)
    tensor = torch.from_numpy(video).permute(3, 0, 1, 2) / 255
    assert np.array_equal(as_frames(tensor), video)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((4, 3, 8, 8), np.uint8)]
)
def test_what_is_no_clip_is_refused(bad):
    with pytest.raises(ParameterError, match=r"clip: expected uint8 \(T, H, W, 3\)"):
        film_strip(bad)


def test_a_grid_has_a_row_and_a_name_for_each_clip():
    figure = clip_grid([clip(16), clip(10)], ["slide right", "fall"], frames=4)
    assert {"slide right", "fall"} <= set(texts(figure))


def test_hidden_tubelets_are_grey_and_visible_ones_untouched():
    video, grid = clip(4, 8), (2, 2, 2)
    mask = np.array([True, False, False, False, False, False, False, True])
    shown = hide(video, mask, grid, cover=1.0)
    assert (shown[:2, :4, :4] == 140).all() and (shown[2:, 4:, 4:] == 140).all()
    changed = (shown != video).any(-1)
    assert not changed[:2, 4:].any() and not changed[:2, :4, 4:].any() and not changed[2:, :4].any()


def test_a_mask_strip_has_one_column_a_slot():
    figure = mask_film_strip(clip(8, 16), {"tube": np.zeros(16, bool)}, (4, 2, 2))
    assert [t for t in texts(figure) if t.startswith("slot")] == ["slot 0", "slot 1", "slot 2", "slot 3"]
    assert {"clip", "tube"} <= set(texts(figure))


def test_a_mask_that_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="do not fit"):
        hide(clip(8, 16), np.zeros(15, bool), (4, 2, 2))


def test_reconstructions_have_two_rows_a_try():
    video = clip(8, 16)
    figure = reconstruction_strip(video, {0.5: (video, video), 0.9: (video, video)}, every=2)
    assert [t for t in texts(figure)] == ["original", "50 % hidden", "rebuilt", "90 % hidden", "rebuilt"]


def test_curves_read_the_journal_and_leave_out_what_is_not_there(tmp_path):
    file = tmp_path / "train.jsonl"
    records = [{"step": n, "loss": 1 / n, "lr": 1e-3} for n in range(1, 11)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    figure = training_curves(file, keys=("loss", "lr", "accuracy"))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "learning rate"]
    assert np.allclose(figure.axes[0].lines[0].get_xydata(), [(r["step"], r["loss"]) for r in records])
    assert "final 0.1" in texts(figure)


def test_a_long_noisy_curve_gets_a_running_mean_and_a_schedule_does_not():
    records = [{"step": n, "loss": n % 2, "lr": n / 200} for n in range(200)]
    loss, lr = training_curves(records).axes
    assert len(loss.lines) == 2 and np.allclose(loss.lines[1].get_ydata(), 0.5, atol=0.03)
    assert len(lr.lines) == 1


def test_curves_of_several_runs_name_them():
    runs = {"pretrained": [{"step": 1, "loss": 0.25}], "scratch": [{"step": 1, "loss": 0.5}]}
    assert {"pretrained  0.25", "scratch  0.5"} <= set(texts(training_curves(runs, keys=("loss",))))


def test_nine_runs_can_be_told_apart_and_their_names_cover_no_curve():
    runs = {f"run {n}": [{"step": step, "loss": 9.0 if step < 10 else n} for step in range(1, 101)] for n in range(9)}
    figure = training_curves(runs, keys=("loss",), after=0.1)
    (panel,) = figure.axes
    assert len({(line.get_color(), line.get_linestyle()) for line in panel.lines}) == 9
    assert {line.get_xdata()[0] for line in panel.lines} == {10}
    figure.canvas.draw()
    assert panel.get_legend().get_window_extent().x0 >= panel.get_window_extent().x1 - 1
    assert panel.get_legend().get_window_extent().x1 <= figure.bbox.x1


def test_no_records_yet():
    assert "no records yet" in texts(training_curves([]))


def test_confusion_shows_shares_of_the_true_class():
    figure = confusion_matrix([[3, 1], [0, 0]], ["left", "right"], "Test")
    assert np.allclose(figure.axes[0].images[0].get_array(), [[75, 25], [0, 0]])
    assert {"75", "25", "Test: accuracy 75.0 %"} <= set(texts(figure)) and "0" not in {
        t.get_text() for t in figure.axes[0].texts
    }


def test_names_of_twenty_classes_do_not_overlap():
    names = [f"turn counter-clockwise {n}" for n in range(20)]
    figure = confusion_matrix(np.eye(20), names)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))
    assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text()) >= 9


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_few_classes_with_long_names_have_room(count):
    confusion_matrix(np.eye(count), [f"{n} pushing something from left to right" for n in range(count)]).canvas.draw()


def test_a_matrix_that_does_not_fit_its_names_is_refused():
    with pytest.raises(ParameterError, match=r"expected \(3, 3\) for 3 names, got \(2, 2\)"):
        confusion_matrix(np.eye(2), list("abc"))


def test_sliders_move_one_at_a_time_from_where_they_start():
    sliders, starts = {"ratio": [0.1, 0.5, 0.9], "kind": ["tube", "frame"]}, {"ratio": 0.5, "kind": "tube"}
    assert explore.positions(sliders, starts) == [
        {"ratio": 0.1, "kind": "tube"},
        {"ratio": 0.5, "kind": "tube"},
        {"ratio": 0.9, "kind": "tube"},
        {"ratio": 0.5, "kind": "frame"},
    ]


def test_numbers_are_sorted_and_start_at_the_default_or_in_the_middle(monkeypatch):
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    drawn = []

    def draw(step, ratio=0.9):
        drawn.append((step, ratio))
        return plt.figure(figsize=(1, 1))

    explore.explore(draw, alt="x", step=[200, 1, 22], ratio=[0.9, 0.5])
    assert drawn == [(1, 0.9), (22, 0.9), (200, 0.9), (22, 0.5)]


def test_a_text_is_drawn_as_it_stands(monkeypatch):
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    drawn = []

    def draw(sentence, count=5):
        drawn.append((sentence, count))
        return plt.figure(figsize=(1, 1))

    explore.explore(draw, alt="x", sentence="a dog jumps", count=[3, 5])
    assert drawn == [("a dog jumps", 5), ("a dog jumps", 3)]


def test_clips_of_several_sizes_stand_whole_in_one_grid():
    wide, tall = np.full((8, 20, 40, 3), 9, np.uint8), np.full((8, 40, 20, 3), 99, np.uint8)
    drawn = canvas(clip_grid([wide, tall], ["a", "b"]))
    assert (drawn == 9).sum() == (drawn == 99).sum() > 0


def test_headless_exploring_draws_the_positions_and_leaves_no_figure_open(monkeypatch):
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    drawn = []

    def draw(ratio):
        drawn.append(ratio)
        return plt.figure(figsize=(1, 1))

    explore.explore(draw, alt="x", ratio=[1, 2, 3, 4, 5])
    assert drawn == [1, 3, 5] and not plt.get_fignums()


@pytest.mark.parametrize(
    "environment, live",
    [({"JPY_SESSION_NAME": "a.ipynb"}, True), ({"VSCODE_PID": "1"}, True), ({}, False),
     ({"JPY_SESSION_NAME": "a.ipynb", "IVCORE_HEADLESS": "1"}, False)],
)  # fmt: skip
def test_widgets_only_where_somebody_may_move_them(environment, live, monkeypatch):
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "IVCORE_HEADLESS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert explore._live() is live


@pytest.mark.parametrize("live", [True, False])
def test_a_saved_figure_reaches_the_page(live, tmp_path, monkeypatch):
    import IPython
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", shown.append)
    style.show(style.save(plt.figure(), tmp_path / "a.png"), 'A "line" & more', live=live)
    ((data, metadata),) = [each._repr_mimebundle_() if not live else ({"text/html": each.data}, {}) for each in shown]
    if live:
        assert 'alt="A &quot;line&quot; &amp; more"' in data["text/html"]
    else:
        assert data["image/png"] and metadata["image/png"]["alt"] == 'A "line" & more'
