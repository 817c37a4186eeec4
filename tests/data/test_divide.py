"""What is divided: each clip once, cuts of one video in one part, and notebook 12 reads back all of it."""

import os
import random

import pytest
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
@settings(max_examples=25)
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


# ---- cuts of films by their names


def films(place, pattern, per_class=10, cuts=4, classes=("jump", "wave")):
    return divided(place, [f"{c}/" + pattern.format(c=c, g=n * per_class + f, k=k)
                           for n, c in enumerate(classes) for f in range(per_class) for k in range(cuts)])  # fmt: skip


@pytest.mark.parametrize(
    "pattern", ["film{g:02d}_cut{k:02d}.mp4", "v_{c}_g{g:02d}_c{k:02d}.avi", "{c}-{g}_{k}0_{k}9.mp4"]
)
def test_cuts_of_a_film_stay_in_one_part_and_one_line_says_so(tmp_path, pattern):
    made = films(tmp_path, pattern)
    parts = part_of(
        made.parts, lambda path: os.path.basename(path).replace("-", "_").rsplit("_", 2 if "-" in pattern else 1)[0]
    )
    assert len(parts) == 20 and all(len(each) == 1 for each in parts.values())
    assert made.counts() == {c: {"train": 24, "val": 8, "test": 8} for c in ("jump", "wave")}
    assert made.notes == [
        "names look like 20 films of 4 cuts: cuts with one name before their counter stay in one part; groups.csv can say otherwise"
    ]
    assert len(set(made.together.values())) == 20


def test_films_of_some_classes_and_youtube_videos_of_another(tmp_path):
    files = [f"{c}/film{n}{f}_cut{k}.mp4" for n, c in enumerate(("jump", "wave")) for f in range(5) for k in range(3)]
    made = divided(tmp_path, [*files, *(f"sit/{cut(v, 10 * k)}" for v in range(5) for k in range(3))])
    assert [note.split(" ", 1)[1][:30] for note in made.notes] == [
        "videos are cuts of 5 YouTube v",
        "look like 10 films of 3 cuts: ",
    ]
    assert len(set(made.together.values())) == 15


def test_films_too_few_for_every_part_are_said_and_left_apart(tmp_path):
    made = films(tmp_path, "film{g}_cut{k}.mp4", per_class=2, cuts=10)
    (note,) = made.notes
    assert note.startswith(
        "names look like 4 films of 10 cuts, too few to keep each in one part: training and test may share films"
    )
    assert made.together == {} and made.counts()["jump"] == {"train": 12, "val": 4, "test": 4}


def test_what_groups_say_goes_before_names(tmp_path):
    pattern = "film{g}_cut{k}.mp4"
    films(tmp_path, pattern)
    (tmp_path / "groups.csv").write_text("jump/film0_cut0.mp4 7\njump/film1_cut0.mp4 7\n")
    every = [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*.mp4"))]
    (tmp_path / "groups.csv").write_text("".join(f"{path} {n // 2}\n" for n, path in enumerate(every)))
    made = films(tmp_path, pattern)
    assert made.notes == [f"groups.csv puts {len(every)} of {len(every)} videos into {len(every) // 2} groups"]
    assert len(made.together) == len(every) and len(set(made.together.values())) == len(every) // 2


def test_groups_of_a_few_videos_leave_the_others_to_their_names(tmp_path):
    pattern = "film{g}_cut{k}.mp4"
    films(tmp_path, pattern)
    (tmp_path / "groups.csv").write_text("jump/film0_cut0.mp4 7\njump/film1_cut0.mp4 7\nelsewhere/a.mp4 7\n")
    made = films(tmp_path, pattern)
    assert made.notes[0].startswith("groups.csv puts 2 of 80 videos into 1 group; 1 line of it with no such video")
    assert made.notes[1].startswith("names look like") and len(made.together) == 80
    (tmp_path / "groups.csv").write_text("elsewhere/film0_cut0.mp4 7\n")
    made = films(tmp_path, pattern)
    assert made.notes[0].startswith("groups.csv names none of the videos; 1 line") and len(made.together) == 80


def test_a_large_film_that_takes_a_part_away_is_said(tmp_path):
    cuts = {1: 60, 2: 2, 3: 2}
    made = divided(tmp_path, [f"{c}/film{f}_cut{k}.mp4" for c in ("jump", "wave") for f in cuts for k in range(cuts[f])])  # fmt: skip
    assert len(made.parts["test"]) == 4
    (note,) = made.notes
    assert "one part, which leaves 4 val videos instead of 26 and 4 test videos instead of 26; groups" in note


def test_a_few_large_films_that_take_training_videos_away_are_said(tmp_path):
    made = divided(tmp_path, [f"{c}/batch{f}_{k:04d}.mp4" for c in ("jump", "wave") for f in range(3) for k in range(20)])  # fmt: skip
    assert made.counts()["jump"] == {"train": 20, "val": 20, "test": 20}
    assert any("which leaves 40 train videos instead of 72" in note for note in made.notes)


@pytest.mark.parametrize("pattern", ["{c}_{g}{k}.mp4", "{g}{k}.mp4", "IMG_{g}{k}.mp4"])
def test_where_nothing_tells_films_one_line_names_groups(tmp_path, pattern):
    made = films(tmp_path, pattern)
    assert made.together == {} and [note[:52] for note in made.notes] == [
        "no two videos are known to be cuts of one film: if s"
    ]
    assert "if some are, list them in groups.csv" in made.notes[0]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 5)), min_size=6, max_size=60, unique=True
    )
)
@settings(max_examples=40)
def test_films_cost_no_class_a_part(tmp_path_factory, rows):
    """Against the same videos under plain names, whatever films and classes there are."""
    try:
        plain = divided(tmp_path_factory.mktemp("plain"), [f"{c}/{i}.mp4" for i, (c, _, _) in enumerate(rows)])
        made = divided(tmp_path_factory.mktemp("films"), [f"{c}/film{f}_cut{k}.mp4" for c, f, k in rows])
    except UserError:
        return
    for name, counts in plain.counts().items():
        assert [bool(count) for count in counts.values()] == [bool(count) for count in made.counts()[name].values()]
    if made.together:
        parts = part_of(made.parts, lambda path: os.path.basename(path).split("_")[0])
        assert all(len(each) == 1 for each in parts.values())
