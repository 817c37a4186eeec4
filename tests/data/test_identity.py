"""Cuts of one YouTube video are one video and several clips; equal bytes are one clip whatever their names are."""

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
