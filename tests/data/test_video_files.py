"""What counts as a video: files by their ending at any depth, folders of frames, lists; odd names are kept as they are."""

import os

import pytest
from PIL import Image

from ivcore.data.video_files import find
from ivcore.errors import FormatError, UserError


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def frames(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name)
    return str(folder)


def test_a_folder_is_searched_to_any_depth(tmp_path):
    names = ["b.mp4", "a/größe 走る.MOV", 'a/b/with, comma "and"\nline.webm', "z.x.avi"]
    wanted = [touch(tmp_path / name) for name in names]
    for other in ("notes.txt", ".hidden.mp4", ".git/x.mp4", "__MACOSX/y.mp4", "mp4"):
        touch(tmp_path / other)
    wanted.append(frames(tmp_path / "seq", ["img_00001.jpg", "img_00002.jpg"]))
    frames(tmp_path / "photos", ["IMG_4711.jpg", "IMG_4712.jpg"])  # no first frame
    touch(tmp_path / "out" / "own.mp4")
    b, a, deep, z, seq = wanted
    assert find(tmp_path, tmp_path / "out") == [b, z, a, deep, seq]  # by name, files before folders
    assert find(tmp_path / "seq") == [str(tmp_path / "seq")]


def test_bytes_that_are_no_text_and_links_in_circles(tmp_path):
    odd = os.fsencode(tmp_path) + b"/bad\xff.mp4"
    with open(odd, "wb"):
        pass
    (tmp_path / "again").symlink_to(tmp_path)
    assert find(tmp_path) == [os.fsdecode(odd)]


def test_a_single_file_is_a_video_whatever_it_is_called(tmp_path):
    assert find(touch(tmp_path / "clip")) == [str(tmp_path / "clip")]


@pytest.mark.parametrize("text", [
    "a.mp4 0\nb.mp4 1\na.mp4 0\n", "a.mp4\nb.mp4\n", "path\na.mp4\nb.mp4\n", "path,caption\na.mp4,one\nb.mp4,two\n",
])  # fmt: skip
def test_lists_of_several_kinds(tmp_path, text):
    touch(tmp_path / "a.mp4"), touch(tmp_path / "b.mp4")
    assert find(touch(tmp_path / "list.csv", text)) == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]


def test_nothing_to_find_is_one_line(tmp_path):
    touch(tmp_path / "x" / "notes.txt")
    for place, said in ((tmp_path / "x", "no video in it"), (tmp_path / "y", "no such file or folder")):
        with pytest.raises(UserError, match=said):
            find(place)
    with pytest.raises(FormatError):
        find(touch(tmp_path / "list.csv", "what\nis\nthis\n"))


@pytest.mark.parametrize(
    "text, said", [("[]", "lists no video"), ("{", "expected JSON"), ('[{"path": 3}]', "expected the key 'caption'")]
)
def test_a_broken_json_list_is_told_as_json(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        find(touch(tmp_path / "list.json", text))
