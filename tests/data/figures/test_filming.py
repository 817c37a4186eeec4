"""What is drawn, with a recording made here, so that no simulator is needed."""

from dataclasses import replace

import numpy as np
import pytest

from ivcore.data import figures
from ivcore.data.figures import camera
from ivcore.data.figures.body import Rods, dressed, shaped
from ivcore.data.figures.drawing import draw
from ivcore.data.figures.motions import MOTIONS, POINTS, cut
from ivcore.data.figures.plan import draw as plan

CONFIG = figures.Figures(train=6, val=2, test=2, size=32, frames=4, fps=4)
AHEAD = camera.Camera(np.array([[5.0, 1.0, 0.0]]), np.array([[[0, 0, -1.0], [0, 1, 0], [-1, 0, 0]]]), 0.4, True)


def place(**changes):
    usual = {"ground": "plain", "light": (0.6, 0.8, 0.0), "ambient": 0.6, "posts": (), "hills": (-1.0, *[0.0] * 6)}
    return replace(plan(0, "train", 0, "walk").place, **usual | changes)


def ball(x, y, z, radius, colour):
    low, high = np.array([[[x, y - 0.01, z]]]), np.array([[[x, y + 0.01, z]]])
    colours = np.array([colour])
    return Rods(low, high, np.full((1, 2), radius), colours, colours)


def drawn(rods, **changes):
    return draw(AHEAD, rods, place(**changes), 64)[0].astype(int)


# Of the last frames of four clips: the mean of each quarter.
VERSION = "1"
QUARTERS = [
    [191.5, 190.0, 154.0, 148.6],
    [69.3, 70.6, 44.5, 44.2],
    [88.0, 87.9, 69.9, 70.4],
    [207.1, 189.5, 126.5, 112.6],
]
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def is_red(frame):
    return (frame[..., 0] > 80) & (frame[..., 1] < 20)


class TestDrawing:
    def test_a_ball_is_as_large_as_it_should_be_and_where_it_is(self):
        rows, columns = np.nonzero(is_red(drawn(ball(0, 1, 0, 0.4, RED))))
        assert len(rows) == pytest.approx(np.pi * (0.4 / 5 / 0.4 * 32) ** 2, rel=0.1)
        assert rows.mean() == pytest.approx(31.5, abs=0.6) and columns.mean() == pytest.approx(31.5, abs=0.6)
        right = np.nonzero(is_red(drawn(ball(0, 1.5, -1, 0.2, RED))))
        assert right[1].mean() > 40 and right[0].mean() < 25

    def test_the_nearer_one_hides_the_other(self):
        behind, before = ball(-1, 1, 0, 0.4, RED), ball(1, 1, 0, 0.6, BLUE)
        for rods in (behind + before, before + behind):
            assert not is_red(drawn(rods)).any()

    def test_the_ground_hides_what_is_below_it(self):
        assert not is_red(drawn(ball(0, -0.5, 0, 0.4, RED))).any()

    def test_a_rod_gets_thinner(self):
        both = np.array([[[0, 0.2, 0]]]), np.array([[[0, 1.8, 0]]])
        cone = Rods(*both, np.array([[0.4, 0.1]]), np.array([RED]), np.array([RED]))
        wide = is_red(drawn(cone)).sum(axis=1)
        assert wide[40] > 2 * wide[24] > 0

    def test_what_is_behind_the_camera_or_beside_the_picture_is_not_drawn(self):
        nothing = drawn(ball(0, 1, 30, 0.4, RED))
        assert np.array_equal(nothing, drawn(ball(9, 1, 0, 0.4, RED))) and not is_red(nothing).any()

    def test_shadows_fall_away_from_the_light(self):
        bare = drawn(ball(0, 1, 30, 0.4, RED))
        dark = [
            np.nonzero((drawn(ball(0, 1.2, 0, 0.2, BLUE), light=light) < bare - 15).all(axis=-1))[1]
            for light in ((0.0, 0.8, 0.6), (0.0, 0.8, -0.6))
        ]
        assert min(map(len, dark)) > 20
        assert dark[0].mean() > 35 > 29 > dark[1].mean()  # positive z is on the left of this camera

    def test_the_lit_side_is_brighter(self):
        frame = drawn(ball(0, 1, 0, 0.4, RED), light=(0.0, 0.6, 0.8))
        assert frame[32, 27, 0] > frame[32, 37, 0] + 20


class TestCamera:
    def test_the_body_stays_in_the_picture(self, recording):
        seconds = np.arange(16) / 8
        for number in range(60):
            view = plan(3, "train", number, list(MOTIONS)[number % 17]).view
            body = cut(MOTIONS["walk"][0], 0.2, 1.0, seconds)
            placed = camera.place(view, body, seconds)
            seen = placed.sees(body)
            assert np.abs(seen[..., :2] / seen[..., 2:]).max() < placed.reach and seen[..., 2].min() > 0.5
            assert np.allclose(placed.axes @ placed.axes.transpose(0, 2, 1), np.eye(3))
            assert (np.ptp(placed.position, axis=0).max() == 0) == (view.camera in ("still", "turning"))


class TestBody:
    def test_a_mirrored_body_has_right_and_left_changed(self, recording):
        person = plan(0, "train", 0, "walk").person
        usual, mirrored = (shaped(recording[1], person, flag) for flag in (False, True))
        assert np.array_equal(usual * (1, 1, -1), mirrored)

    def test_longer_legs_are_longer_and_nothing_is_below_the_ground(self, recording):
        person = replace(plan(0, "train", 0, "walk").person, legs=1.2)
        body = shaped(recording[1] - (0, 0.4, 0), person, False)
        assert body[..., 1].min() > 0
        body = shaped(recording[1], person, False)
        knee = body[:, POINTS.index("left_knee")] - body[:, POINTS.index("left_hip")]
        assert np.allclose(np.linalg.norm(knee, axis=1), 1.2 * 0.4215)

    def test_short_sleeves_show_skin(self, recording):
        person = plan(0, "train", 0, "walk").person
        long, short = (
            dressed(recording[1], replace(person, long_sleeves=flag, stripes=False)).colours for flag in (True, False)
        )
        skin = [(colours == person.colours["skin"]).all(axis=1).sum() for colours in (long, short)]
        assert skin[1] == skin[0] + 2


class TestFilm:
    def test_a_clip_depends_on_itself_and_the_config_alone(self, recording):
        clips = figures.clips(CONFIG)
        films = list(figures.film(CONFIG, clips))
        assert all(film.shape == (4, 32, 32, 3) and film.dtype == np.uint8 for film in films)
        (again,) = figures.film(CONFIG, clips[4:5])
        assert np.array_equal(again, films[4])
        larger = replace(CONFIG, train=9)
        (same,) = figures.film(larger, [clip for clip in figures.clips(larger) if clip.name == clips[-1].name])
        assert np.array_equal(same, films[-1])
        assert not np.array_equal(films[0], films[1])

    def test_somebody_moves_before_a_camera_that_stands_still(self, recording):
        clips = [clip for clip in figures.clips(replace(CONFIG, train=40)) if "stands still" in clip.captions[3]]
        film = next(figures.film(CONFIG, clips[:1])).astype(int)
        changed = (np.abs(np.diff(film, axis=0)).max(axis=-1) > 8).any(axis=0)
        assert 0.01 < changed.mean() < 0.6

    def test_pixels_are_those_of_the_version(self, recording):
        films = figures.film(CONFIG, figures.clips(CONFIG)[:4])
        quarters = [film[-1].reshape(2, 16, 2, 16, 3).mean(axis=(1, 3, 4)).ravel() for film in films]
        assert figures.RENDERER_VERSION == VERSION and np.abs(np.array(quarters) - QUARTERS).max() < 0.5, (
            "another picture: set figures.RENDERER_VERSION to another text, and these numbers"
        )
