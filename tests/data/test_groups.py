"""Videos that belong together have one number, all others one of their own."""

import pytest

from ivcore.data.groups import group_numbers, read_groups
from ivcore.data.videos import video_set
from ivcore.errors import FormatError


def test_a_file_says_which_belong_together(tmp_path):
    (tmp_path / "groups.csv").write_text("b.mp4 3\nc.mp4 3\nsub/../d.mp4 9\n")
    together = read_groups(tmp_path)
    paths = [str(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "x/../b.mp4", "a.mp4")]
    assert group_numbers(paths, together).tolist() == [0, 1, 1, 2, 1, 0]
    assert group_numbers(paths, {}).tolist() == [0, 1, 2, 3, 1, 0]
    assert group_numbers([], {}).shape == (0,)


def test_a_video_with_two_numbers_is_refused(tmp_path):
    (tmp_path / "groups.csv").write_text("b.mp4 3\nb.mp4 3\nsub/../b.mp4 4\n")
    with pytest.raises(FormatError, match=r"b\.mp4 has two numbers, 3 and 4"):
        read_groups(tmp_path)


def test_a_list_of_ones_own_reads_the_file_beside_it(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "test.csv").write_text("a.mp4 0\nb.mp4 1\nc.mp4 1\n")
    assert video_set("test", str(tmp_path / "test.csv")).groups().tolist() == [0, 1, 2]
    (tmp_path / "groups.csv").write_text("a.mp4 0\nc.mp4 0\n")
    videos = video_set("test", str(tmp_path / "test.csv"))
    assert videos.groups().tolist() == [0, 1, 0] and videos.first(2).groups().tolist() == [0, 1]
    assert videos.groups([videos.records[2].path, videos.records[1].path]).tolist() == [0, 1]
    (tmp_path / "groups.csv").write_text("a.mp4\n")
    with pytest.raises(FormatError, match=r"groups\.csv:1"):
        video_set("test", str(tmp_path / "test.csv"))
