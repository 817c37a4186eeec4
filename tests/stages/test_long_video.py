"""What is asked of long videos: pairs of classes that happen once, in videos that are joined, and the same events the other way round."""

import numpy as np
import pytest
import torch
import video_models as zoo

from ivcore.data.untrimmed import FeatureSequence
from ivcore.data.video_answers import VideoModel
from ivcore.errors import UserError
from ivcore.stages import long_video
from ivcore.stages.long_video import (
    Joins,
    OrderAnswers,
    backwards,
    both_ways,
    by_distance,
    collate,
    encoded,
    groups,
    joined,
)


def video(name, *events, length=10):
    """events: (class, start, end); a feature a second, which is its number."""
    segments, labels = np.array([event[1:] for event in events], float), np.array([event[0] for event in events])
    features = torch.arange(length)[:, None].float().expand(-1, 3)
    return FeatureSequence(name, features, 0.5, 1.0, float(length), segments, labels)


FIRST = video("a", (3, 0, 2), (1, 4, 6), (2, 7, 9))
SECOND = video("b", (2, 1, 3), (0, 5, 8), length=9)


def test_pairs_are_of_classes_that_happen_once():
    alone = joined([FIRST])
    assert alone.pairs.tolist() == [[1, 2], [1, 3], [2, 3]] and alone.first.tolist() == [True, False, False]
    assert alone.apart.tolist() == [3, 4, 7] and alone.shown.tolist() == [3, 3, -1, -1, 1, 1, -1, 2, 2, -1]
    both = joined([FIRST, SECOND])
    assert both.pairs.tolist() == [[0, 1], [0, 3], [1, 3]] and both.apart.tolist() == [11, 15, 4]
    assert both.duration == 19 and len(both.features) == 19 and 2 not in both.shown.tolist()


def test_training_videos_are_functions_of_seed_epoch_and_index_alone():
    source = Joins([FIRST, SECOND], (1, 2), seed=0)
    items = [source.item(0, epoch) for epoch in range(12)]
    again = [Joins([FIRST, SECOND], (1, 2), seed=0).item(0, epoch) for epoch in range(12)]
    assert all(torch.equal(a.features, b.features) and (a.pairs == b.pairs).all() for a, b in zip(items, again))
    assert {len(item.features) for item in items} == {10, 19}
    mixed = Joins([FIRST, SECOND], (1,), seed=0, shuffled=True).item(0, 0)
    plain = Joins([FIRST, SECOND], (1,), seed=0).item(0, 0)
    assert not torch.equal(mixed.features, plain.features)
    assert {(f, s) for f, s in zip(mixed.features[:, 0].tolist(), mixed.shown.tolist())} == set(zip(plain.features[:, 0].tolist(), plain.shown.tolist()))  # fmt: skip


def test_a_batch_is_padded_with_what_does_not_count():
    batch = collate([joined([FIRST]), joined([SECOND])])
    assert batch["features"].shape == (2, 10, 3) and batch["mask"].sum(1).tolist() == [10, 9]
    assert batch["asked"].tolist() == [[True] * 3, [True, False, False]] and batch["shown"][1, -1] == -1


def test_videos_without_an_order_question_are_refused():
    with pytest.raises(UserError, match="no order can be asked"):
        groups([video("a", (1, 0, 1), (1, 2, 3))], 1, 5, 0)
    with pytest.raises(UserError, match="in none of them do two classes happen once"):
        Joins([video("a", (1, 0, 1))], (1,), 0)


def test_more_videos_than_there_are_cannot_be_joined():
    with pytest.raises(UserError, match="tested_lengths: 3 videos cannot be joined, there are 2"):
        groups([FIRST, SECOND], 3, 5, 0)
    with pytest.raises(UserError, match="trained_lengths: 4 videos cannot be joined, 2 training videos"):
        Joins([FIRST, SECOND], (1, 4), 0)


def test_errors_count_videos_and_distances_pairs():
    answers = OrderAnswers(
        np.array([True] * 4 + [False] * 4), np.array([1.0, 2, 6, 7, 1, 2, 6, 7]), np.repeat([0, 1], 4)
    )
    assert answers.accuracy == 0.5 and answers.error == pytest.approx(np.sqrt(8) / 8)
    assert by_distance([answers] * 5, (0, 5, 10, 20)) == [(1.5, 0.5), (6.5, 0.5)]
    assert by_distance([answers] * 4, (0, 5, 10, 20)) == [(4.0, 0.5)]


def test_the_counterpart_has_the_same_events_the_other_way_round(tmp_path):
    path = zoo.video(tmp_path / "a.mp4", frames=80, size=(16, 16), fps=8.0)
    model = VideoModel.load(str(zoo.saved(tmp_path, "masked")))
    given = video("a", (3, 0, 2), (1, 4, 6), (2, 7, 9))
    other = backwards(given, str(path), model, 4)
    assert other.labels.tolist() == [2, 1, 3] and len(other.features) == (80 - 8) // 4 + 1
    np.testing.assert_allclose(other.segments, [[0.5, 2.5], [4.5, 6.5], [7, 9]], atol=1 / 8)
    again = backwards(other, str(path), model, 4)
    assert again.labels.tolist() == [3, 1, 2]
    with long_video.open_video(str(path), 16) as opened:
        frames = opened.read(np.arange(80))
    torch.testing.assert_close(encoded(frames, model, 4)[5], model.features(torch.from_numpy(frames[20:28:2][None]))[0], rtol=1e-4, atol=1e-4)  # fmt: skip


def test_a_head_that_sees_no_order_is_never_right_both_ways():
    turned = video("a", (2, 1, 3), (1, 4, 6), (3, 8, 10))

    class Blind(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, features, mask):
            return torch.arange(4.0)[None] + self.weight

    assert both_ways(Blind(), [(FIRST, turned)]) == 0
