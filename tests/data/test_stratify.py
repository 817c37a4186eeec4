"""Every class in every part as far as it goes; what belongs together in one part; the same parts whatever else is there."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data.splits import number_by_name
from ivcore.data.stratify import PARTS, stratify
from ivcore.errors import UserError


def divided(labels, units=None):
    names = [f"{label}/{i}.mp4" for i, label in enumerate(labels)]
    return stratify(labels, units or names, [number_by_name(name) for name in names])


@given(st.lists(st.integers(3, 40), min_size=2, max_size=8))
def test_a_class_of_three_or_more_is_in_every_part_and_a_fifth_is_held_out_twice(sizes):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    counts = Counter(zip(labels, divided(labels)))
    for label, size in enumerate(sizes):
        fifth = max(1, round(0.2 * size))
        assert [counts[label, part] for part in PARTS] == [size - 2 * fifth, fifth, fifth]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=60))
@settings(max_examples=300)
def test_units_stay_whole_and_every_class_is_taught_or_one_line_says_why(rows):
    labels, units = [label for label, _ in rows], [unit for _, unit in rows]
    try:
        parts = divided(labels, units)
    except UserError as error:
        assert "too few" in str(error)
        return
    assert set(parts) == set(PARTS)
    assert len({*zip(units, parts)}) == len({*units})
    assert {label for label, part in zip(labels, parts) if part == "train"} == {*labels}


@given(st.lists(st.sampled_from("abc"), min_size=9, max_size=60), st.randoms())
def test_the_order_of_the_list_does_not_matter(labels, random):
    names = [f"{label}/{i}.mp4" for i, label in enumerate(labels)]
    rows = [(label, name, number_by_name(name)) for label, name in zip(labels, names)]
    mixed = random.sample(rows, len(rows))
    assert dict(zip(names, stratify(*zip(*rows)))) == dict(zip([row[1] for row in mixed], stratify(*zip(*mixed))))


def test_a_new_video_moves_few_others():
    names = [f"{label}/{i}.mp4" for label in "ab" for i in range(50)]
    labels = [name[0] for name in names]
    before = dict(zip(names, divided_by_name(names, labels)))
    after = dict(zip([*names, "a/new.mp4"], divided_by_name([*names, "a/new.mp4"], [*labels, "a"])))
    assert sum(before[name] != after[name] for name in names) <= 2


def divided_by_name(names, labels):
    return stratify(labels, names, [number_by_name(name) for name in names])


def test_small_classes_are_taught_first_then_tested_then_chosen_on():
    labels = ["one"] + ["two"] * 2 + ["three"] * 3 + ["many"] * 10
    counts = Counter(zip(labels, divided(labels)))
    assert counts["one", "train"] == counts["two", "train"] == counts["two", "test"] == 1
    assert all(counts["three", part] == 1 for part in PARTS)


def test_a_film_that_is_most_of_a_class_is_not_what_it_is_tested_on():
    labels, units = ["a"] * 20 + ["b"] * 10, ["film"] * 15 + [f"u{i}" for i in range(15)]
    assert divided(labels, units)[0] == "train"


def test_where_a_part_would_be_empty_one_line_says_so():
    with pytest.raises(UserError, match="2 videos of 2 classes are too few"):
        divided(["a", "b"])
    with pytest.raises(
        UserError, match="8 videos of 2 classes, which are 2 apart from those that belong together, are"
    ):
        divided(["a"] * 4 + ["b"] * 4, ["one"] * 4 + ["other"] * 4)
