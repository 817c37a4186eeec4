"""What is divided: each clip once, cuts of one video in one part, and notebook 12 reads back all of it."""

import os
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data import class_folders, divide
from ivcore.data.labels.sets import united_sets
from ivcore.errors import UserError

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def youtube_id(number):
    return "".join(random.Random(f"id {number}").choices(LETTERS, k=11))


def cut(number, start):
    return f"{youtube_id(number)}_{start:06d}_{start + 10:06d}.mp4"


def divided(place, files, contents=None):
    """files: below the folder; contents: of some of them, the others have one of their own."""
    for file in files:
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes((contents or {}).get(file, file.encode()))
    return divide.divide(class_folders.read(place), {})


def part_of(parts, by=os.path.basename):
    """What `by` makes of a path -> the parts that it is in."""
    found = {}
    for part, videos in parts.items():
        for video in videos:
            found.setdefault(by(video.path), set()).add(part)
    return found


# ---- cuts of YouTube videos


def test_all_cuts_of_a_video_are_kept_in_one_part_whatever_their_classes(tmp_path):
    """Three of twelve videos have cuts of both classes."""
    files = [f"{('sit', 'stand')[k % 2 if v < 3 else v % 2]}/{cut(v, 10 * k)}" for v in range(12) for k in range(8)]
    made = divided(tmp_path, files)
    assert sum(map(len, made.parts.values())) == 96 and not [note for note in made.notes if "left out" in note]
    parts = part_of(made.parts, lambda path: os.path.basename(path)[:11])
    assert len(parts) == 12 and all(len(each) == 1 for each in parts.values())
    assert len(set(made.together.values())) == 12
    for counts in made.counts().values():
        assert all(counts.values())


def test_copies_are_those_of_equal_bytes_or_of_equal_times(tmp_path):
    files = [f"{name}/{cut(v + 20 * (name == 'b'), 0)}" for name in "ab" for v in range(6)]
    same_bytes, same_times = f"a/{cut(0, 50)}", f"a/again/{cut(1, 0)}"
    made = divided(tmp_path, [*files, same_bytes, same_times], {same_bytes: f"a/{cut(0, 0)}".encode()})
    assert made.notes[0].startswith("2 copies of videos left out")
    assert sum(map(len, made.parts.values())) == 12


def test_a_clip_that_is_in_two_classes_is_in_no_part_and_its_neighbours_are(tmp_path):
    files = [f"{name}/{cut(v + 20 * (name == 'b'), t)}" for name in "ab" for v in range(6) for t in (0, 10)]
    made = divided(tmp_path, [*files, f"b/{cut(0, 0)}"])
    assert "2 files left out that show one video in two classes" in made.notes[0]
    kept = part_of(made.parts)
    assert cut(0, 0) not in kept and cut(0, 10) in kept and len(kept) == 23


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.sampled_from("abc")), min_size=9, max_size=40))
@settings(deadline=None, max_examples=25)
def test_label_sets_keep_what_was_divided(tmp_path_factory, rows):
    place, out = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("lists")
    try:
        made = divided(place, {f"{name}/{cut(v, 10 * t)}" for v, t, name in rows})
    except UserError:
        return
    divide.write(made, out)
    sets = united_sets(str(out))
    for part, videos in made.parts.items():
        assert sorted((r.path, r.label) for r in getattr(sets, part).records) == sorted(
            (v.path, v.label) for v in videos
        )
    assert all(len(each) == 1 for each in part_of(made.parts, lambda path: os.path.basename(path)[:11]).values())
