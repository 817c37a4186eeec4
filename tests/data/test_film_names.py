"""Names tell films where they have two parts that differ, and never where videos of a class are only numbered."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data import film_names

CLASSES = ("jump", "wave", "turn left")


def named(pattern, films=4, cuts=3, classes=CLASSES):
    """Paths -> classes, of a pattern with {c} a class, {n} its number, {f} a film, {k} a cut, {i} a number of its own."""
    videos = {}
    for (n, c), f, k in itertools.product(enumerate(classes), range(films), range(cuts)):
        videos[f"/v/{c}/" + pattern.format(c=c, n=n, f=f, k=k, i=f * cuts + k, g=n * films + f, w="alice bob cy dora eve fay".split()[f], s=10 * k, e=10 * k + 10)] = c  # fmt: skip
    return videos


@pytest.mark.parametrize(
    "pattern",
    [
        "film{g:02d}_cut{k:02d}.mp4",
        "{c}_film{f:02d}_cut{k:02d}.mp4",
        "v_{c}_g{f:02d}_c{k:02d}.avi",
        "Film{g}-Clip-{k}.mov",
        "film {g} scene {k}.mp4",
        "Film_{g}_{k}.mp4",
        "{g}_{k}.mp4",
        "{w}{n}_s{k}.mp4",
        "lecture{g}_{s}_{e}.mp4",
        "{w}-{n}_{s:06d}_{e:06d}.mp4",
        "{n}{w}_part.{k}.mp4",
        "subject{g:02d}_trial_{k}.mp4",
    ],
)
def test_names_of_films_and_cuts(pattern):
    videos = named(pattern)
    found = film_names.films(videos)
    assert found.keys() == videos.keys() and film_names.told(found) == "12 films of 3 cuts"
    assert film_names.enough(found, videos)


@pytest.mark.parametrize(
    "pattern", ["{w}_{n}{k}.mp4", "{w}-cut{n}{k}.mp4", "film{f}_{n}{k}.mp4", "{w}_{n}{k}_{n}{k}9.mp4"]
)
def test_a_film_may_have_cuts_of_several_classes(pattern):
    assert film_names.told(film_names.films(named(pattern))) == "4 films of 9 cuts"


@pytest.mark.parametrize(
    "pattern",
    [
        "{c}_{i}.mp4",
        "{c}-{i:04d}.mp4",
        "v_{c}_{i}.mp4",
        "my {c} clip {i}.mp4",
        "{c}_cut{i:02d}.mp4",
        "{c}2024_{i}.mp4",
        "{c} 1 {i}.mp4",
        "{i}.mp4",
        "{n}_{i}.mp4",
        "video_{i}.mp4",
        "clip{i}.mp4",
        "IMG_{i:04d}.mov",
        "MVI_{n}{i:04d}.mp4",
        "VID_202401{f:02d}_1200{k:02d}.mp4",
        "2024-01-{f:02d} 12-00-{k:02d}.mp4",
        "2024_{n:02d}_1{f}.mp4",
        "{w}_{c}_{i}_720.mp4",
        "{c}_{w}_{i}.mp4",
        "{w}.mp4",
        "S001C002P003R002A{n}{i:02d}.avi",
    ],
)
def test_plain_numbers_dates_and_names_of_cameras_are_no_films(pattern):
    assert film_names.films(named(pattern, films=6)) == {}


def test_cameras_of_several_kinds_are_no_films():
    videos = {f"/v/{c}/{kind}_{n}{i:03d}.mp4": c for n, c in enumerate(CLASSES) for kind in ("IMG", "MVI", "DSC", "VID") for i in range(5)}  # fmt: skip
    assert film_names.films(videos) == {}


@pytest.mark.parametrize("odd", ["extra_9_2.mp4", "IMG_2023_01.mp4", "lecture1_0_19.mp4"])
def test_one_name_that_contradicts_changes_nothing_for_the_others(odd):
    videos = named("lecture{g}_{s}_{e}.mp4", films=6, cuts=4)
    found = film_names.films(videos | {f"/v/jump/{odd}": "jump"})
    assert found.keys() >= videos.keys() and len(set(found.values())) <= 19


def test_all_classes_or_none():
    films, plain = named("film{g}_cut{k}.mp4", classes=CLASSES[:2]), named("{c}_{i}.mp4", classes=CLASSES[2:])
    assert film_names.films(films) and film_names.films(films | plain) == {}


def test_classes_of_fewer_films_than_parts_are_not_enough():
    many, two = (
        named("film{g}_cut{k}.mp4", classes=CLASSES[:2]),
        {f"/v/c/other{f}_{k}.mp4": "c" for f in "12" for k in range(3)},
    )
    found = film_names.films(many | two)
    assert (
        len(found) == len(many) + 6
        and not film_names.enough(found, many | two)
        and film_names.enough(film_names.films(many), many)
    )


def test_a_class_that_is_a_number_takes_no_digit_from_a_film():
    videos = {path: str(n) for n, c in enumerate(CLASSES) for path in named(f"film{n}{{f}}_{{k}}.mp4", classes=(c,))}
    assert film_names.told(film_names.films(videos)) == "12 films of 3 cuts"


@given(st.dictionaries(st.from_regex(r"[a-c0-9_\- .]{0,12}", fullmatch=True), st.sampled_from("abc"), max_size=40))
@settings(max_examples=300)
def test_whatever_names_are_films_are_of_videos_and_their_names_begin_alike(names):
    videos = {f"/v/{name}.mp4": of_class for name, of_class in names.items()}
    found = film_names.films(videos)
    assert found.keys() <= videos.keys()
    for path, film in found.items():
        assert path.startswith(f"/v/{film.removeprefix('film ')}")
    if found:
        assert 2 * len(found) >= len(videos) and {videos[path] for path in found} == set(videos.values())
