"""Explorers: what a printed run shows of them, and what their widgets do when somebody moves them, uploads a clip or clicks a patch."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from ivcore.data.examples import Example, own
from ivcore.errors import ParameterError
from ivcore.show import explore, explorer, player, style
from ivcore.show.class_probabilities import opinions
from ivcore.show.controls import Clips, Patch, described, some
from ivcore.show.slices import space_time_slices
from ivcore.video.writer import write_video


def video(folder, name="a.mp4", start=0, frames=16):
    clip = np.zeros((frames, 32, 48, 3), np.uint8)
    for number, frame in enumerate(clip):
        frame[:, start + number : start + number + 8] = 220
    folder.mkdir(exist_ok=True)
    write_video(folder / name, clip, 8)
    return folder / name


@pytest.fixture
def two(tmp_path):
    return [Example("one", video(tmp_path)), Example("two", video(tmp_path, "b.mp4", 20))]


def drawn_with(shown):
    def draw(clip, ratio=0.5, place=(1, 1)):
        shown.append((clip.name, ratio, place))
        figure = plt.figure(figsize=(1, 1))
        figure.text(0.1, 0.5, f"{len(shown)}")
        return figure

    return draw


def live(two, shown, **more):
    controls = {
        "clip": Clips(two),
        "ratio": [0.25, 0.5, 0.9],
        "place": Patch(2, 3, lambda clip, ratio: clip.dense(2, 24)[0]),
    }
    starts = {"clip": two[0], "ratio": 0.5, "place": (1, 1)}
    made = explorer.Explorer(
        drawn_with(shown), lambda clip, **_: {"clip": clip.dense(4, 16)}, "A picture", controls, starts
    )
    made.answer()
    return made


def test_a_slider_draws_anew_and_what_was_drawn_is_kept(two):
    shown = []
    made = live(two, shown)
    first = made._figure.value
    made._moved["ratio"].widget.value = 0.9
    second = made._figure.value
    made._moved["ratio"].widget.value = 0.5
    assert made._figure.value == first != second and [ratio for _, ratio, _ in shown] == [0.5, 0.9]
    assert (
        'alt="A picture (clip: one; ratio: 0.9; place: row 2, column 2)"' in second
        and "answered in" in made._said.value
    )


def test_a_clicked_patch_is_what_is_drawn_and_is_marked(two):
    shown = []
    made = live(two, shown)
    buttons = made._moved["place"]._buttons
    buttons[0, 2].click()
    assert shown[-1][2] == (0, 2) and made._moved["place"].value == (0, 2)
    assert [place for place, button in buttons.items() if button.description.strip()] == [(0, 2)]
    assert buttons[0, 2].tooltip == "row 1, column 3" and len(buttons) == 6


def test_a_clip_of_ones_own_comes_by_its_path_or_by_an_upload(two, tmp_path):
    shown = []
    made = live(two, shown)
    mine = video(tmp_path / "mine", "mine.mp4", 5)
    choice = made._moved["clip"]
    choice._path.value = f' "{mine}" '
    assert shown[-1][0] == "mine.mp4" and choice.value == own(mine)
    with pytest.MonkeyPatch.context() as patch:
        given = {"name": "../up.mp4", "content": memoryview(mine.read_bytes())}
        patch.setattr(type(choice._upload), "value", (given,))
        choice._take(choice._uploaded)
    assert shown[-1][0] == "up.mp4" and choice.value.file.name == "up.mp4" and choice.value.file.is_file()
    assert [name for name, _ in choice._menu.options] == ["one", "two", "mine.mp4", "up.mp4"]
    first = choice.value
    with pytest.MonkeyPatch.context() as patch:
        given = {"name": "other.mp4", "content": memoryview(mine.read_bytes())}
        patch.setattr(type(choice._upload), "value", (given,))
        choice._take(choice._uploaded)
    assert choice.value != first and first.dense(2, 16).any()  # it can still be read for another position


def test_a_clip_that_joins_the_menu_is_in_pictures_of_before_too(two, tmp_path):
    shown = []
    made = live(two, shown)
    made._moved["clip"]._path.value = str(video(tmp_path / "mine", "mine.mp4", 5))
    made._moved["clip"]._menu.value = two[0]
    assert [name for name, *_ in shown] == ["one", "mine.mp4", "one"]


def test_what_is_no_video_is_told_and_the_picture_stays(two, tmp_path):
    shown = []
    made = live(two, shown)
    before = made._figure.value
    for text, told in (("/nowhere/x.mp4", "no such file"), (str(tmp_path / "words.mp4"), "words.mp4")):
        (tmp_path / "words.mp4").write_text("this is no video")
        made._moved["clip"]._path.value = text
        assert told in made._said.value and "answered" not in made._said.value
    assert made._figure.value == before and made._moved["clip"].value == two[0] and len(shown) == 1


def test_an_error_while_drawing_is_told(two):
    def draw(clip):
        raise ValueError("<wrong>")

    made = explorer.Explorer(draw, None, "A picture", {"clip": Clips(two)}, {"clip": two[0]})
    made.answer()
    assert "not drawn: ValueError: &lt;wrong&gt;" in made._said.value


def test_the_player_has_a_page_a_frame_and_keeps_its_place(two):
    made = live(two, [])._player
    assert len(made._stack.children) == 4 and made._place.max == made._play.max == 3
    made._place.value = 2
    before = [child.value for child in made._stack.children]
    made.load({"clip": two[1].dense(4, 16)})
    assert made._place.value == 2 and before != [child.value for child in made._stack.children]
    made.load({"clip": two[1].dense(8, 16), "shorter": two[0].dense(4, 16)})
    assert len(made._stack.children) == 8


def test_clips_of_a_page_stand_side_by_side_each_as_large_as_fits():
    pages = player.pages({"a": np.full((2, 16, 16, 3), 10, np.uint8), "b": np.full((4, 32, 32, 3), 200, np.uint8)})
    first = np.asarray(Image.open(io.BytesIO(pages[0])))
    assert len(pages) == 4 and first.shape == (208, 208 + 8 + 192, 3)
    assert (first[:, :208] == 10).all() and (first[:192, 216:] == 200).all() and (first[:, 208:216] == 255).all()


def test_a_printed_run_has_words_for_each_picture_and_moves_each_control(two, monkeypatch):
    import IPython.display

    shown, pictures = [], []
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    monkeypatch.setattr(IPython.display, "display", pictures.append)
    patch = Patch(4, 4, lambda clip, ratio: clip.dense(2, 16)[0])
    explore.explore(
        drawn_with(shown), alt="A picture", clip=Clips(two), ratio=[0.9, 0.1], place=patch, begin={"ratio": 0.9}
    )
    assert shown[0] == ("one", 0.9, (1, 1)) and ("two", 0.9, (1, 1)) in shown and ("one", 0.1, (1, 1)) in shown
    words = [picture._repr_mimebundle_()[1]["image/png"]["alt"] for picture in pictures]
    assert (
        len(set(words)) == len(shown) == len(words)
        and words[0] == "A picture (clip: one; ratio: 0.9; place: row 2, column 2)"
    )


def test_many_controls_leave_a_short_strip(two):
    controls = {"clip": Clips(two)} | {f"c{n}": [0.0, 0.5, 1.0] for n in range(9)}
    starts = {"clip": two[0]} | {f"c{n}": 0.5 for n in range(9)}
    positions = explore.positions(controls, starts)
    assert len(positions) == explore.MOST and all(set(each) == set(starts) for each in positions)


def test_some_patches_lie_inside():
    assert some(Patch(8, 8, None), 3) == [(2, 2), (4, 4), (5, 5)] and some(Patch(1, 1, None), 2) == [(0, 0), (0, 0)]
    assert described("x", {"a_b": 3, "c": 0.25}) == "x (a b: 3; c: 0.25)"


def test_a_wide_picture_is_scrolled_not_shrunk():
    text = style.image(style.png(plt.figure(figsize=(12, 1))), 'a "b"')
    assert "overflow-x:auto" in text and "max-width:none" in text and 'alt="a &quot;b&quot;"' in text
    data = base64.b64decode(text.split("base64,")[1].split('"')[0])
    assert f'width="{style.reading_width(data)}"' in text and style.reading_width(data) == pytest.approx(
        12 * 96, abs=30
    )


def test_slices_are_the_pixels_of_a_row_and_of_a_column_over_time():
    clip = np.random.default_rng(0).integers(0, 255, (6, 10, 12, 3), np.uint8)
    _, across, down = space_time_slices(clip, 3, 7).axes
    assert np.array_equal(across.images[0].get_array(), clip[:, 3])
    assert np.array_equal(down.images[0].get_array(), clip[:, :, 7].swapaxes(0, 1))
    with pytest.raises(ParameterError, match="row=10, column=0: must lie in a frame of 10 x 12 pixels"):
        space_time_slices(clip, 10, 0)


def test_opinions_keep_the_rows_of_before_and_show_what_won():
    classes = [f"class {n}" for n in range(8)]
    before, now = (
        np.array([0.5, 0.2, 0.1, 0.05, 0.05, 0.04, 0.03, 0.03]),
        np.array([0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0, 0.6]),
    )
    axes = opinions({"one": now, "both": now}, classes, {"both": before}, most=4).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert [word for word in words if word.startswith("class")] == ["class 0", "class 1", "class 2", "class 7"]
    assert words.count("0.60") == 2 and len(axes.patches) == 8
    (marks,) = [line for line in axes.lines if line.get_marker() == "|"]
    assert [x - 1.5 for x in marks.get_xdata()] == pytest.approx([0.5, 0.2, 0.1, 0.03])
