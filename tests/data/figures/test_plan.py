"""Plans, captions and the list of clips need no simulator."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ivcore.data import figures
from ivcore.data.annotations import SPLITS
from ivcore.data.figures.captions import captions
from ivcore.data.figures.config import plan_of
from ivcore.data.figures.plan import COLOURS, clothes, draw
from ivcore.errors import ParameterError

SMALL = figures.Figures(train=170, val=51, test=51)


def plans(split):
    return [plan_of(SMALL, clip.name) for clip in figures.clips(SMALL) if clip.split == split]


def test_every_pair_of_clothes_is_of_one_split():
    pairs = [pair for split in SPLITS for pair in clothes(split)]
    assert len(set(pairs)) == len(pairs) == len(COLOURS) * (len(COLOURS) - 1)
    assert min(len(clothes(split)) for split in SPLITS) >= 20


def test_looks_and_views_of_a_split_are_in_no_other():
    looks = [{(plan.person.shirt, plan.person.trousers) for plan in plans(split)} for split in SPLITS]
    sectors = [{int(plan.view.side / (2 * math.pi) * 72) for plan in plans(split)} for split in SPLITS]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert not looks[one] & looks[two] and not sectors[one] & sectors[two]


def test_half_of_the_cameras_stand_still_and_nobody_runs_out_of_their_pictures():
    cameras = Counter(plan.view.camera for plan in plans("train"))
    assert 0.35 < cameras["still"] / 170 < 0.6 and len(cameras) == 5
    assert all(plan.view.camera != "still" for plan in plans("train") if plan.label == "run")


def test_the_ground_has_a_colour_of_its_own():
    assert all(p.place.ground_colour not in (p.person.shirt, p.person.trousers) for p in plans("train"))


def test_posts_do_not_stand_before_the_person():
    for plan in plans("train"):
        for (x, z, *_), _ in plan.place.posts:
            towards = (x * math.cos(plan.view.side) + z * math.sin(plan.view.side)) / math.hypot(x, z)
            assert towards < 0.4


def test_lists_are_in_order_and_classes_are_even():
    clips = figures.clips(SMALL)
    assert [clip.split for clip in clips] == ["train"] * 170 + ["val"] * 51 + ["test"] * 51
    for split, each in (("train", 10), ("val", 3), ("test", 3)):
        assert Counter(c.label for c in clips if c.split == split) == dict.fromkeys(figures.CLASSES, each)
    assert len({clip.name for clip in clips}) == len({clip.scene for clip in clips}) == len(clips)


def test_a_larger_set_begins_with_the_same_clips_and_another_seed_has_others():
    larger = figures.clips(figures.Figures(train=200, val=51, test=60))
    assert figures.clips(SMALL)[:170] == larger[:170] and figures.clips(SMALL)[170:221] == larger[200:251]
    other = figures.clips(figures.Figures(train=170, val=51, test=51, seed=1))
    assert sum(a == b for a, b in zip(figures.clips(SMALL), other, strict=True)) == 0


def test_captions_name_colours_and_say_different_things():
    for clip in figures.clips(SMALL):
        plan = plan_of(SMALL, clip.name)
        assert len(set(clip.captions)) == 4 and not any("{" in sentence for sentence in clip.captions)
        assert all(f"{plan.person.shirt} " in sentence for sentence in clip.captions)
        assert plan.person.trousers in clip.captions[0] and plan.place.ground_colour in clip.captions[0]
        assert not any(f" a {vowel}" in sentence for sentence in clip.captions for vowel in "aeiou")


@pytest.mark.parametrize(("label", "degrees", "way"), [
    ("walk", 90, " to the right "),
    ("walk", 270, " to the left "),
    ("walk backwards", 90, " to the left "),
    ("walk", 0, ""),
    ("kick", 90, ""),
])  # fmt: skip
def test_captions_say_which_way_somebody_goes(label, degrees, way):
    plan = draw(0, "train", 0, label)
    plan = replace(plan, view=replace(plan.view, side=math.radians(degrees)))
    sentence = captions(plan)[0]
    assert (way in sentence) if way else (" to the right" not in sentence and " to the left" not in sentence)


def test_captions_name_the_sky_where_it_is_in_the_picture():
    plan = draw(0, "train", 0, "walk")
    plan = replace(plan, place=replace(plan.place, sky="orange"), view=replace(plan.view, field=1.0))
    level, down = (captions(replace(plan, view=replace(plan.view, height=height)))[2] for height in (0.0, 0.6))
    assert level == f"at sunset {down}"


def test_sizes_that_no_video_can_have_are_refused():
    for fields in ({"size": 81}, {"frames": 1}, {"train": -1}, {"fps": 0}):
        with pytest.raises(ParameterError, match=next(iter(fields))):
            figures.Figures(**fields)


def test_light_comes_from_above():
    assert all(
        plan.place.light[1] > 0.4 and np.linalg.norm(plan.place.light) == pytest.approx(1) for plan in plans("val")
    )
