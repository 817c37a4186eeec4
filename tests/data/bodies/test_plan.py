"""Which clips of bodies there are. Nothing here needs the simulator."""

from collections import Counter

import pytest

from ivcore.data import bodies, rendered
from ivcore.data.bodies.models import BODIES
from ivcore.data.bodies.plan import body_of, scene_look
from ivcore.errors import ParameterError
from ivcore.run import cli

CONFIG = bodies.Bodies()
CLIPS = bodies.clips(CONFIG)
LOOKS = {clip.scene: scene_look(CONFIG, int(clip.scene)) for clip in CLIPS}


def test_as_many_clips_as_asked_for_and_as_many_of_each_class():
    assert Counter(clip.split for clip in CLIPS) == {"train": 700, "val": 200, "test": 300}
    for split, count in {"train": 70, "val": 20, "test": 30}.items():
        assert Counter(clip.label for clip in CLIPS if clip.split == split) == dict.fromkeys(bodies.CLASSES, count)
    assert len({clip.name for clip in CLIPS}) == len(CLIPS)


def test_a_scene_is_in_one_split_and_shows_two_classes():
    splits, labels = {}, {}
    for clip in CLIPS:
        splits.setdefault(clip.scene, set()).add(clip.split)
        labels.setdefault(clip.scene, set()).add(clip.label)
    assert all(len(each) == 1 for each in splits.values())
    assert all(len(each) == 2 for each in labels.values())


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_body_does_everything_in_every_split_in_other_looks(split):
    chosen = [clip for clip in CLIPS if clip.split == split]
    done = Counter((body_of(int(clip.scene)).noun, clip.label) for clip in chosen)
    assert len(done) == len(BODIES) * len(bodies.CLASSES) and max(done.values()) - min(done.values()) <= 1
    looks = {LOOKS[clip.scene] for clip in chosen}
    assert len(looks) == len(chosen) / 2
    assert not looks & {LOOKS[clip.scene] for clip in CLIPS if clip.split != split}


def test_fewer_clips_are_the_first_ones():
    few = bodies.clips(bodies.Bodies(train=5, val=0, test=2))
    assert few == [*CLIPS[:5], *CLIPS[900:902]]


def test_captions_name_what_is_seen():
    clip = CLIPS[0]
    look = scene_look(CONFIG, int(clip.scene))
    assert clip.captions[0] == f"a {look.colour} four-legged creature swings in step"
    assert all(clip.label in sentence for clip in CLIPS for sentence in clip.captions)
    assert all(len(set(clip.captions)) == 3 for clip in CLIPS)


def test_the_command_makes_the_set_that_a_run_asks_for(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(rendered, "build", lambda source, config, workers: asked.append(config) or tmp_path)
    assert cli.main(["data", "bodies"]) == cli.main(["data", "bodies", "--size", "32"]) == 0
    assert asked == [rendered.configure(bodies), bodies.Bodies(size=32)] and asked[0].size == 96


def test_wrong_sizes_are_refused():
    with pytest.raises(ParameterError, match="size=95: must be a whole number from 16, even"):
        bodies.Bodies(size=95)
