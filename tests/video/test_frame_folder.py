"""A folder of frame pictures is read like a video; what is missing or damaged in it is a VideoError that names the frame."""

import numpy as np
import pytest
from PIL import Image

from ivcore.errors import VideoError
from ivcore.video.frame_folder import FrameFolder, open_video


def unpack(folder, count, name="img_{:05}.png", first=1, size=(40, 30)):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", size, (10 * number, 0, 0)).save(folder / name.format(number + first))
    return folder


def red(frames):
    return (frames[:, 5, 5, 0] // 10).tolist()


@pytest.mark.parametrize(
    "name, first", [("img_{:05}.png", 1), ("image_{:06}.png", 0), ("{:08}.png", 1), ("frame{}.png", 7)]
)
def test_the_interface_of_a_video(tmp_path, name, first):
    folder = unpack(tmp_path / "78687", 12, name, first)
    (folder / "notes.txt").write_text("x")
    with open_video(folder, 20) as video:
        assert isinstance(video, FrameFolder) and len(video) == len(video.times) == 12
        assert (video.height, video.width) == (20, 27) and video.times[0] == 0
        frames = video.read([3, 11, 0, 3])
        assert frames.shape == (4, 20, 27, 3) and frames.dtype == np.uint8 and red(frames) == [3, 11, 0, 3]
        assert video.read([]).shape == (0, 20, 27, 3)
        with pytest.raises(IndexError, match="frames 0 to 12 asked of 12"):
            video.read([0, 12])


def test_what_is_wrong_is_named(tmp_path):
    folder = unpack(tmp_path / "a", 6)
    (folder / "img_00003.png").unlink()
    (folder / "img_00004.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("RGB", (41, 30)).save(folder / "img_00005.png")
    with FrameFolder(folder) as video:
        assert len(video) == 6 and len(video.read([0, 1, 5])) == 3
        for index, cause in (
            (2, "frame 3 is missing, frames 1 to 6 are there"),
            (3, "img_00004.png: not a picture"),
            (4, "img_00005.png: 41 x 30, the first one is 40 x 30"),
        ):
            with pytest.raises(VideoError, match=cause) as caught:
                video.read([0, index])
            assert caught.value.path == str(folder)


def test_folders_that_are_no_video(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="a folder without numbered frames"):
        open_video(tmp_path / "empty")
    for name in ("a_1.png", "b_1.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(VideoError, match=r"frames of several kinds: a_\*, b_\*"):
        open_video(tmp_path)
    with pytest.raises(VideoError, match="no such file"):
        open_video(tmp_path / "absent")


def test_frames_beside_others(tmp_path):
    folder = unpack(tmp_path / "a", 5)
    Image.new("RGB", (4, 4)).save(folder / "flow_x_00001.png")
    assert len(FrameFolder(folder)) == 5
