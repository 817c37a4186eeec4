"""Cuts of one YouTube video are one video and several clips; equal bytes are one clip whatever their names are."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data.connected_videos import joined
from ivcore.data.identity import clip_keys, file_keys, of_one_id, video_keys

IDS = "0347ZoDXyP0", "-A5JFdMXB_k", "X1fH-ZM9TBr", "a_QFPiyCEs5"


def test_cuts_share_a_video_and_only_equal_times_are_one_clip():
    paths = [
        f"{place}/{IDS[0]}_{times}.mp4" for place, times in zip("abc", ("000000_000010",) * 2 + ("000010_000020",))
    ]
    videos = video_keys([*paths, f"d/{IDS[0]}.mp4", f"d/{IDS[1]}.mp4"])
    clips = clip_keys(videos)
    assert len({videos[path] for path in paths} | {videos[f"d/{IDS[0]}.mp4"]}) == 1
    assert clips[paths[0]] == clips[paths[1]] and len(set(clips.values())) == 4
    assert sorted(of_one_id(videos)) == sorted([*paths, f"d/{IDS[0]}.mp4"])


@pytest.mark.parametrize(
    "names",
    [
        [f"film{f}_cut{k:02d}" for f in range(9) for k in range(9)],
        ["film1_cut10"],
        [f"IMG_2023_{k:02d}" for k in range(40)],
        [f"VidA_Cut_{k:02d}" for k in range(40)],
        [f"Person0{p}_d{k}" for p in range(1, 5) for k in range(3)],
        [f"S1_T{k}_Cam_A" for k in range(9)],
        [f"{c}_0{k}_LeFt" for c in ("jab", "run", "hop") for k in range(9)],
    ],
)
def test_names_of_eleven_letters_with_a_pattern_are_no_ids(names):
    assert all(len(name) == 11 for name in names)
    videos = video_keys(f"{folder}/{name}.mp4" for folder in ("jump", "wave") for name in names)
    assert len(set(videos.values())) == 2 * len(names)


def test_a_few_names_alone_make_no_copies(tmp_path):
    """Of unlike names with both cases, which could be ids; with as few files bytes decide."""
    paths = [tmp_path / folder / f"{name}.mp4" for folder in ("a", "b") for name in ("My_Video_01", "Cam1_Pos000")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(path))
    clips = clip_keys(video_keys(map(str, paths)))
    assert len(set(clips.values())) == 4
    (tmp_path / "b/My_Video_01.mp4").write_text(str(paths[0]))
    assert len(set(clip_keys(video_keys(map(str, paths))).values())) == 3


def test_names_that_differ_in_their_digits_are_no_ids_beside_ids():
    draw = random.Random(0)
    ids = {"".join(draw.choices(string.ascii_letters + string.digits + "-_", k=11)) for _ in range(60)}
    names = [f"My_Video_{k:02d}" for k in range(40)]
    videos = video_keys(f"{folder}/{name}.mp4" for folder in "ab" for name in [*ids, *names])
    assert len(set(videos.values())) == len(ids) + 2 * len(names)


@pytest.mark.parametrize("seed", range(20))
def test_random_names_are_ids(seed):
    draw = random.Random(seed)
    names = {"".join(draw.choices(string.ascii_letters + string.digits + "-_", k=11)) for _ in range(40)}
    videos = video_keys(f"{folder}/{name}.mp4" for folder in "ab" for name in names)
    assert len(set(videos.values())) == len(names)


def test_files_of_the_same_bytes_are_one_under_names_of_other_times(tmp_path):
    names = [f"{IDS[0]}_000000_000010.mp4", f"{IDS[0]}_000010_000020.mp4", f"{IDS[1]}_000000_000010.mp4"]
    for name, content in zip(names, (b"same", b"same", b"else")):
        (tmp_path / name).write_bytes(content)
    one, again, other = file_keys(str(tmp_path / name) for name in names).values()
    assert one == again != other


NAMES = st.builds(
    "{}/{}{}.mp4".format, st.sampled_from("ab"), st.sampled_from(IDS), st.sampled_from(["", "_000000_000010", "_000010_000020"])
)  # fmt: skip


@given(st.lists(NAMES | st.sampled_from(["a/jump_1.mp4", "b/jump_1.mp4"])))
def test_clips_that_are_one_belong_to_one_video(paths):
    videos = video_keys(paths)
    clips = clip_keys(videos)
    assert clips.keys() == videos.keys() == set(paths)
    assert len(set(zip(clips.values(), videos.values()))) == len(set(clips.values()))


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.integers(0, 9) | st.none(), max_size=3)))
@settings(max_examples=200)
def test_files_join_over_shared_marks_also_through_others(marks):
    reached = {path: {path} for path in marks}
    for _ in marks:
        for one in marks:
            for other in marks:
                if {*marks[one]} & {*marks[other]} - {None}:
                    reached[one] |= reached[other]
    assert joined(marks) == {path: min(some) for path, some in reached.items()}


def test_nothing_is_joined_of_nothing():
    assert joined({}) == {} and joined({"a": (), "b": (None,), "c": (None,)}) == dict(zip("abc", "abc"))


@pytest.mark.parametrize("place", ["", "videos/", "/k/abseiling/"])
def test_a_clips_name_has_neither_folder_nor_ending(place):
    from ivcore.data.identity import clip_name

    assert [clip_name(f"{place}{name}") for name in ("a.b.mp4", "a", ".mp4")] == ["a.b", "a", ".mp4"]
