"""Example clips: what is read of a video, and the reader's own."""

import os

import numpy as np
import pytest

from ivcore.data import camera, examples
from ivcore.data.examples import Example, own
from ivcore.errors import ParameterError, VideoError
from ivcore.video.writer import write_video


@pytest.fixture
def counted(tmp_path):
    """A hundred frames at 20 a second, each as bright as its number, twice."""
    frames = np.repeat(np.arange(0, 200, 2, np.uint8), 32 * 48 * 3).reshape(100, 32, 48, 3)
    write_video(tmp_path / "counted.mp4", frames, 20)
    return tmp_path / "counted.mp4"


def numbers(clip):
    return (clip.mean((1, 2, 3)) / 2).round().astype(int).tolist()


def test_the_two_seconds_in_the_middle_are_taken(counted):
    clip = Example("counted", counted).dense(8, 16)
    assert clip.shape == (8, 16, 16, 3) and clip.dtype == np.uint8
    assert (
        np.abs(np.array(numbers(clip)) - (np.arange(8) * 5 + 32)).max() <= 1
    )  # 40 frames from the 30th on, every 5th, centred
    sparse = numbers(Example("counted", counted).sparse(4, 16))
    assert np.abs(np.array(sparse) - (np.arange(4) * 10 + 34)).max() <= 1


def test_a_video_that_is_shorter_is_taken_whole(tmp_path):
    write_video(tmp_path / "short.mp4", np.zeros((3, 16, 16, 3), np.uint8), 10)
    assert Example("short", tmp_path / "short.mp4").dense(8, 16).shape == (8, 16, 16, 3)


def test_the_readers_own_is_found_by_its_path_and_is_another_one_when_it_changes(counted):
    one = own(f" '{counted}' ")
    assert one == own(counted) and one.name == "counted.mp4" and one.filmed and hash(one) == hash(own(counted))
    write_video(counted, np.zeros((4, 16, 16, 3), np.uint8), 10)
    os.utime(counted, (1, 1))
    assert own(counted) != one


def test_what_is_no_video_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"your own clip '/nowhere\.mp4': no such file"):
        own("/nowhere.mp4")
    (tmp_path / "words.mp4").write_text("no video")
    with pytest.raises(VideoError):
        own(tmp_path / "words.mp4").dense(2, 16)


def test_the_embedded_ones_are_of_three_kinds_each_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    found = examples.embedded()
    kinds = {each.name.rpartition(" ")[0] for each in found if not each.filmed}
    assert kinds == {"moving shapes", "creature"} and all(each.sentence and each.file.is_file() for each in found)
    assert [each.name for each in found if each.filmed] == [f"film: {examples.OF_A_FILM[f]}" for f in examples.FILMS if f in camera.installed()]  # fmt: skip
    assert len({each.dense(2, 16).tobytes() for each in found}) == len(found) and found == examples.embedded()


def test_without_films_the_drawn_ones_are_left(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    monkeypatch.setattr(camera, "installed", lambda: ())
    assert not any(each.filmed for each in examples.embedded())
