"""Navigation as a stage: clips of the last observations, walks, batches, training with both kinds of sampling, and what is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ivcore import paths
from ivcore.data import mini
from ivcore.data.navigation.episodes import World
from ivcore.data.navigation.ray_caster import RayCaster
from ivcore.data.navigation.simulator import PlanSimulator
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import FormatError, UserError
from ivcore.stages import navigation as nav

EPISODES = World(train=5).episodes("train")[:3]
PARAMS = {
    "planner_width": 16, "planner_heads": 2, "planner_ratio": 2, "planner_drop": 0.0, "text_layers": 1, "cross_layers": 1, "words_look": False,
    "most_steps": 16, "batch_size": 8, "steps": 2, "lr": 1e-3, "seed": 0, "student_shares": [0.0, 1.0], "student_episodes": 2,
}  # fmt: skip


class Encoder:
    """Replaces a frozen encoder. Its features are the mean colour of each frame."""

    def __init__(self, frames: int):
        self.usage, self.model, self.digest = (
            SimpleNamespace(num_frames=frames, image_size=8),
            torch.nn.Linear(1, 1),
            f"e{frames}",
        )
        self.seen = []

    def features(self, clips):
        self.seen.append(clips)
        return clips.float().mean((2, 3)).flatten(1) / 255


@pytest.fixture
def eyes():
    return nav.Eyes(Encoder(1), Encoder(8))


def simulators(count=2):
    return [PlanSimulator(RayCaster(8, 60), 6) for _ in range(count)]


@pytest.fixture
def taught(eyes):
    return nav.walk(simulators(), EPISODES, nav.expert, eyes=eyes, most_steps=16)


def test_a_clip_ends_in_the_present_and_begins_with_the_first_observation_again(eyes):
    (walk,) = nav.walk(simulators(1), EPISODES[:1], nav.expert, eyes=eyes, most_steps=4)
    first, clips = eyes.video.seen[0], eyes.video.seen[-1]
    assert first.shape == (6, 8, 8, 8, 3) and (first == first[:, -1:]).all()
    simulator = walk.simulator
    simulator.reset(walk.episode)
    for step in walk.steps[:-1]:
        simulator.go_to(next(way for way in simulator.waypoints() if way.view == step.chosen))
    for frame, back in ((-1, 0), (-2, 2), (-8, 14)):  # eight of the last 16, every other one
        place = simulator.path[max(0, len(simulator.path) - 1 - back)]
        np.testing.assert_array_equal(clips[:, frame].numpy(), simulator.look([place] * 6, range(6))[0])


def test_an_encoder_gets_views_of_its_own_size(eyes):
    eyes.image.usage.image_size = 4
    nav.walk(simulators(1), EPISODES[:1], nav.expert, eyes=eyes, most_steps=1)
    (views,), (clips,) = eyes.image.seen, eyes.video.seen
    assert views.shape == (6, 1, 4, 4, 3) and views.dtype == torch.uint8 and clips.shape[2:4] == (8, 8)
    assert (views.float().mean((1, 2, 3)) - clips[:, -1].float().mean((1, 2))).abs().max() < 3


def test_the_expert_is_taught_what_it_does_and_scores_well(taught):
    assert all(step.taught == step.chosen for each in taught for step in each.steps)
    assert all(each.stopped and each.made == len(each.steps) for each in taught)
    scores = nav.table(taught)
    assert scores["success"].mean() >= 2 / 3 and scores["spl"].max() <= 1 and set(map(len, scores.values())) == {3}


def test_an_agent_that_does_not_stop_fails():
    on = nav.walk(simulators(), EPISODES, lambda walks: [0] * len(walks), most_steps=3)
    assert not any(each.stopped for each in on) and {each.made for each in on} == {3}
    assert not nav.table(on)["success"].any()


def test_baselines_stop_after_the_given_number_of_decisions():
    for choose in (nav.at_random(3), nav.forward_only(3)):
        walks = nav.walk(simulators(), EPISODES, choose)
        assert all(each.stopped and each.made == 4 and not each.steps for each in walks)
    straight = nav.walk(simulators(1), EPISODES[:1], nav.forward_only(2))[0]
    moved = straight.path[1] - straight.path[0]
    off = np.arctan2(moved[2], moved[0]) - straight.episode.heading
    assert np.cos(off) > 0


def test_a_batch_has_the_views_walked_to_before(taught):
    planner = nav.planner_of(tokenizer(), taught, PARAMS, True)
    source = nav.Decisions.of(taught, tokenizer(), planner)
    assert len(source) == sum(len(each.steps) for each in taught)
    batch = source.batch(np.array([0, 2]), 0)
    assert batch["past"].tolist() == [[False, False], [True, True]]
    before = taught[0].steps
    for k in (0, 1):
        for kind in ("rgb", "video", "place"):
            np.testing.assert_array_equal(
                batch[f"past_{kind}"][1, k].numpy(), getattr(before[k], kind)[before[k].chosen]
            )
    assert batch["action"].tolist() == [before[0].taught, before[2].taught]
    assert (
        "video" not in nav.Decisions.of(taught, tokenizer(), nav.planner_of(tokenizer(), taught, PARAMS, False)).all()
    )


def tokenizer():
    return Tokenizer.for_texts([each.instruction for each in EPISODES])


def test_it_learns_in_rounds_from_the_expert_and_from_its_own_walks(taught, eyes, tmp_path):
    planner = nav.planner_of(tokenizer(), taught, PARAMS, True)
    start = {name: value.clone() for name, value in planner.state_dict().items()}
    rounds = nav.learn(planner, tokenizer(), taught, EPISODES[:1], simulators(), eyes, params=PARAMS, folder=tmp_path)
    assert [each.share for each in rounds] == [0.0, 1.0]
    assert all((tmp_path / f"round_{number}" / "train.jsonl").exists() for number in (0, 1))
    assert any(not torch.equal(value, start[name]) for name, value in planner.state_dict().items())
    own = nav.walk(simulators(), EPISODES, nav.student(planner, tokenizer(), 1.0), eyes=eyes, most_steps=16)
    assert any(step.taught != step.chosen for each in own for step in each.steps)
    same = nav.walk(simulators(), EPISODES, nav.student(planner, tokenizer(), 0.0), eyes=eyes, most_steps=16)
    assert all(step.taught == step.chosen for each in same for step in each.steps)


def test_it_fits_the_experts_walks(taught):
    torch.manual_seed(0)
    planner = nav.planner_of(tokenizer(), taught, PARAMS, True)
    batch = nav.Decisions.of(taught, tokenizer(), planner).all()
    optimiser = torch.optim.Adam(planner.parameters(), 5e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss, numbers = nav.planner_loss(planner, batch)
        loss.backward()
        optimiser.step()
    assert numbers["accuracy"] > 0.9


def test_what_the_expert_saw_is_kept(eyes, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "cache", lambda: tmp_path)
    first = nav.taught_walks(simulators(), EPISODES, eyes, 16, {"fov": 60})
    asked = len(eyes.video.seen)
    again = nav.taught_walks(simulators(), EPISODES, eyes, 16, {"fov": 60})
    assert len(eyes.video.seen) == asked and len(list(tmp_path.rglob("*.npz"))) == 1
    for a, b in zip(first, again):
        assert [vars(step).keys() for step in a.steps] == [vars(step).keys() for step in b.steps]
        np.testing.assert_array_equal([step.video for step in a.steps], [step.video for step in b.steps])
        assert [(step.taught, step.chosen) for step in a.steps] == [(step.taught, step.chosen) for step in b.steps]
        assert a.scores() == b.scores()
    nav.taught_walks(simulators(), EPISODES, eyes, 16, {"fov": 70})
    assert len(eyes.video.seen) > asked


def test_pictures_are_those_of_the_decision(taught, eyes):
    shown = nav.pictures(simulators(1)[0], taught[0], 1)
    np.testing.assert_allclose(shown.mean((1, 2)) / 255, taught[0].steps[1].rgb, atol=1e-5)


def test_episodes_of_a_release_and_of_our_own(tmp_path):
    counts = {"train": 4, "val": 2, "seen": 2, "test": 3}
    for data in ("", str(mini.write("r2r_vlnce", tmp_path / "r2r"))):
        found = nav.episodes_of(data, counts)
        assert {name: len(some) for name, some in found.items()} == counts
    assert len(nav.episodes_of(str(tmp_path / "r2r"), dict.fromkeys(counts, 0))["train"]) == 10
    hidden = tmp_path / "r2r" / "val_unseen" / "val_unseen.json.gz"
    hidden.write_bytes((tmp_path / "r2r" / "test" / "test.json.gz").read_bytes())
    (tmp_path / "r2r" / "val_unseen" / "val_unseen_gt.json.gz").unlink()
    with pytest.raises(UserError, match="no goal or no reference path"):
        nav.episodes_of(str(tmp_path / "r2r"), counts)
    with pytest.raises(FormatError, match="cannot be read"):
        nav.episodes_of(str(tmp_path), counts)
    with pytest.raises(UserError, match=r"^num_val = 0: floor plans of ours have no end"):
        nav.episodes_of("", counts | {"val": 0})


def test_the_order_in_which_parts_are_named_does_not_matter():
    counts = {"train": 4, "val": 2, "seen": 2, "test": 3}
    turned = nav.episodes_of("", dict(reversed(counts.items())))
    assert turned == nav.episodes_of("", counts)


def test_an_interval_holds_the_mean_and_shrinks_with_episodes():
    few, many = (np.tile([0.0, 1.0], count) for count in (10, 1000))
    for values in (few, many):
        low, high = nav.interval(values)
        assert low < 0.5 < high
    assert np.ptp(nav.interval(many)) < np.ptp(nav.interval(few)) / 5
    assert np.ptp(nav.interval(few)) == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(20), rel=0.15)


def test_ten_episodes_alike_are_not_certain():
    never, always = nav.interval(np.zeros(10)), nav.interval(np.ones(10))
    assert never == (0, pytest.approx(0.308, abs=1e-3)) and always == (pytest.approx(0.692, abs=1e-3), 1)
    same = {"success": np.zeros(10)}
    assert nav.gains({"a": same, "b": same}, "a")["b"] == (
        0,
        pytest.approx(-0.308, abs=1e-3),
        pytest.approx(0.308, abs=1e-3),
    )


def test_baselines_stop_after_the_count_with_most_arrivals():
    some = simulators(4)
    count = nav.usual_decisions(some, EPISODES, nav.forward_only, 8)
    arrived = {
        n: sum(each.scores()["success"] for each in nav.walk(some, EPISODES, nav.forward_only(n))) for n in range(1, 8)
    }
    assert arrived[count] == max(arrived.values()) and all(arrived[n] < arrived[count] for n in range(1, count))


def test_differences_are_of_the_same_episodes():
    one, other = np.array([1.0, 1, 0, 0] * 25), np.array([0.0, 1, 0, 0] * 25)
    gain, low, high = nav.gains({"a": {"success": one}, "b": {"success": other}}, "a")["b"]
    assert gain == 0.25 and (low, high) == nav.interval(one - other) and 0.1 < low < gain < high < 0.4


def test_choices_and_seen_plans_of_r2r_are_different_episodes(tmp_path):
    found = nav.episodes_of(
        str(mini.write("r2r_vlnce", tmp_path / "r2r")), dict.fromkeys(("train", "val", "seen", "test"), 0)
    )
    names = {name: {each.name for each in some} for name, some in found.items()}
    assert len(names["val"]) + len(names["seen"]) == 5 and not names["val"] & names["seen"]
