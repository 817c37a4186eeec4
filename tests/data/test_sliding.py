"""Windows share frames: the numbers of windows read by themselves, whatever the length, and no frame is decoded twice or kept for long."""

import numpy as np
import pytest
import torch
import video_models as zoo

from ivcore.data.sliding import Sliding, answers, clips, of_usage, windows
from ivcore.data.video_answers import VideoModel
from ivcore.data.windows import Piece
from ivcore.errors import ParameterError, VideoError
from ivcore.video.reader import VideoReader


class Film:
    """Frames that are their own number; counts what is decoded."""

    path, fps = "film", 8.0

    def __init__(self, length):
        self.length, self.decoded, self.most = length, [], 0

    def __len__(self):
        return self.length

    @property
    def times(self):
        return np.arange(self.length) / self.fps

    def read(self, indices):
        self.decoded += list(indices)
        self.most = max(self.most, len(indices))
        return np.broadcast_to(np.asarray(indices, np.int64).reshape(-1, 1, 1, 1), (len(indices), 2, 2, 3))


@pytest.mark.parametrize("length", [1, 5, 8, 9, 40, 101])
@pytest.mark.parametrize("sliding", [Sliding(4, 2), Sliding(4, 2, 2), Sliding(3, 7), Sliding(4, 4)])
@pytest.mark.parametrize("most", [1, 3, 1000])
def test_each_window_has_its_frames_and_each_frame_is_decoded_once(length, sliding, most):
    film = Film(length)
    found = np.concatenate(list(windows(film, sliding, most)))[..., 0, 0, 0]
    starts = np.arange(sliding.count(length)) * sliding.stride
    expected = starts[:, None] + np.arange(sliding.num_frames) * sliding.sampling_rate
    np.testing.assert_array_equal(found, expected.clip(max=length - 1))
    assert sorted(film.decoded) == sorted(set(film.decoded))
    assert film.most <= most * sliding.stride + sliding.span


def test_counts_and_seconds_are_the_published_ones():
    sliding = Sliding(16, 4)
    assert [sliding.count(n) for n in (3, 16, 19, 20, 100)] == [1, 1, 1, 2, 22]
    with pytest.raises(ParameterError, match="stride=0"):
        Sliding(4, 0)


def test_a_file_gives_the_clips_of_a_reader_and_times(tmp_path):
    path = zoo.video(tmp_path / "a.mp4", frames=23)
    sliding = Sliding(4, 3, 2)
    some, seen = zip(*clips(str(path), sliding, 16))
    with VideoReader(path, 16) as video:
        alone = [video.read(3 * n + 2 * np.arange(4)) for n in range(sliding.count(23))]
        fps = video.fps
    whole = np.concatenate(some)
    left = (alone[0].shape[2] - 16) // 2
    np.testing.assert_array_equal(whole, np.stack(alone)[:, :, :16, left : left + 16])
    rows = [window for part in seen for window in part]
    centre = [(window.start + window.end) / 2 for window in rows]
    np.testing.assert_allclose(centre, (np.arange(len(rows)) * 3 + 0.5 * 8) / fps, atol=1e-6)


def test_no_more_windows_are_handed_over_however_long_the_video_and_small_the_frames(tmp_path):
    path = zoo.video(tmp_path / "a.mp4", frames=100)
    sizes = [len(some) for some, _ in clips(str(path), Sliding(4, 1), 16)]
    assert sizes == [32, 32, 32, 1]


def test_features_are_those_of_each_window_alone_and_bad_files_are_named(tmp_path):
    path = zoo.video(tmp_path / "a.mp4", frames=23)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    model = VideoModel.load(str(zoo.saved(tmp_path, "masked")))
    sliding = of_usage(model, 2)
    assert sliding == Sliding(4, 2, 2)
    todo = [Piece(str(path)), Piece(str(tmp_path / "bad.mp4")), Piece(str(tmp_path / "gone.mp4"))]
    (_, good), (_, bad), (_, gone) = answers(model.features, model, todo, sliding)
    assert isinstance(bad, VideoError) and isinstance(gone, VideoError)
    alone = [model.features(torch.from_numpy(one[None])) for some, _ in clips(str(path), sliding, 16) for one in some]
    torch.testing.assert_close(good.values[:, 0], torch.cat(alone).detach(), rtol=1e-4, atol=1e-4)
    coordinated = VideoModel.load(str(zoo.saved(tmp_path, "coordinated")))
    with pytest.raises(ParameterError, match="beside a clip"):
        of_usage(coordinated, 2)
