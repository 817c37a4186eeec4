"""The stage around the coordinated model: frames reach their branch, kept observations change nothing, the control hears another clip."""

from functools import partial

import numpy as np
import pytest
import torch
from test_cma import coordinated

from ivcore.data.batches import batch_of
from ivcore.data.memory import DecodedVideo
from ivcore.data.mismatched import WithMismatched, mismatched_clips
from ivcore.data.sources import training_clips
from ivcore.data.views import Views
from ivcore.losses.coordination import coordination
from ivcore.stages import cross_model
from ivcore.stages.cross_model import scores, scores_of_mismatched_pair
from ivcore.train import Batches, Recipe, train
from ivcore.video import sampling

FRAMES = partial(sampling.dense_and_segment, num_dense=8, stride=1, num_segments=4)


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    videos = rng.integers(0, 256, (6, 12, 24, 24, 3), dtype=np.uint8)
    records = [DecodedVideo(path, *clip) for path, *clip in zip("abcdef", videos, [0, 1, 2, 3, 4, 0])]
    return training_clips(records, num_frames=8, stride=1, size=24, seed=0, scales=[1.0], sampler=FRAMES)


def whole(source):
    return batch_of(source, np.arange(len(source)), 0)


def test_dense_frames_go_to_the_masked_and_sparse_ones_to_the_multimodal_branch(source):
    model, video = coordinated(), whole(source)["video"]
    dense, sparse = cross_model.prepared(model, video)
    assert torch.equal(dense, model.masked.prepare(video[:, :8]))
    assert torch.equal(sparse, model.multimodal.prepare(video[:, 8:]))


@pytest.mark.parametrize("options", [{}, {"placement": (), "reverse": False}], ids=["both", "no modules"])
def test_cached_features_give_the_scores_of_the_clips(source, options):
    model = coordinated(0.5, **options).train()
    kept = cross_model.cache_features(model, source)
    assert not model.training and all(column.dtype != torch.float32 for column in kept.columns.values())
    seen = scores(model, kept.batch(np.arange(6), 0))
    for one, other in zip(seen, scores(model, whole(source)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-2)  # kept in half precision


def test_cached_features_are_read_in_bf16_too(source):
    model = coordinated(0.5).eval()
    kept = cross_model.cache_features(model, source, "bf16")
    for one, other in zip(cross_model.predictions(model, kept, precision="bf16"), cross_model.predictions(model, source), strict=True):  # fmt: skip
        torch.testing.assert_close(one, other, rtol=0, atol=3e-2)


def test_predictions_are_those_of_the_whole_set_in_order(source, monkeypatch):
    monkeypatch.setattr(cross_model, "AT_ONCE", 4)  # a last batch of two
    model = coordinated(0.5).eval()
    *found, labels = cross_model.predictions(model, source)
    with torch.no_grad():
        expected = scores(model, whole(source))
    assert labels.tolist() == [0, 1, 2, 3, 4, 0]
    for probabilities, logits in zip(found, expected, strict=True):
        torch.testing.assert_close(probabilities, logits.softmax(-1))


@pytest.mark.parametrize("clips, crops", [(1, 1), (3, 2)])
def test_probabilities_are_averaged_over_views_of_both_branches_frames(clips, crops, monkeypatch):
    monkeypatch.setattr(cross_model, "AT_ONCE", 5)
    video = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 24, 3), dtype=np.uint8)
    records = [DecodedVideo(path, *clip) for path, *clip in zip("abc", video, [2, 0, 1])]
    counts = {"num_clips": clips, "num_crops": crops}
    views = Views(records, num_frames=8, stride=2, num_segments=4, size=24, **counts)
    model = coordinated(0.5).eval()
    *found, labels = cross_model.predictions(model, views)
    assert labels.tolist() == [2, 0, 1] and views[0]["views"].shape[:2] == (clips * crops, 12)
    for i in range(3):
        with torch.no_grad():
            expected = scores(model, {"video": torch.from_numpy(views[i]["views"])})
        for probabilities, logits in zip(found, expected, strict=True):
            torch.testing.assert_close(probabilities[i], logits.softmax(-1).mean(0))


def test_the_loss_is_the_coordination_loss_and_logs_every_gate(source):
    model, batch = coordinated(0.5).eval(), whole(source)
    loss, numbers = cross_model.interaction_loss(model, batch, branches=0.5, label_smoothing=0.1)
    expected, _ = coordination(scores(model, batch), batch["label"], 0.5, 0.1)
    assert torch.equal(loss, expected) and numbers["multimodal_share"] == 0.5
    names = list(cross_model.modules_of(model))
    assert names[-1] == "reversed" and len(names) == len(model.placement) + 1
    for name in names:
        assert float(numbers[f"attention/{name}"]) == pytest.approx(np.tanh(0.5), abs=1e-6)
        assert float(numbers[f"feed-forward/{name}"]) == pytest.approx(np.tanh(0.5), abs=1e-6)
    assert cross_model.modules_of(coordinated(placement=(), reverse=False)) == {}


# ---- the control

SCENES = [0, 0, 1, 1, 2, 3]


def with_mismatched(source):
    control = WithMismatched(source, SCENES, seed=3)
    return control.batch(np.arange(6), 0), mismatched_clips(SCENES, np.random.default_rng([3, 0]))


def test_closed_gates_ignore_the_mismatched_clip(source):
    model, batch = coordinated().eval(), whole(source)
    with torch.no_grad():
        control = scores_of_mismatched_pair(model, with_mismatched(source)[0])
        for one, other in zip(scores(model, batch), control, strict=True):
            torch.testing.assert_close(one, other)


def test_open_gates_read_the_mismatched_clip_and_answer_for_their_own(source):
    model, (batch, heard) = coordinated(0.5).eval(), with_mismatched(source)
    dense, sparse = cross_model.prepared(model, batch["video"])
    with torch.no_grad():
        control = scores_of_mismatched_pair(model, batch)
        masked = model((dense, sparse[heard])).masked
        multimodal = model((dense[heard], sparse)).multimodal
        own = scores(model, batch)
    torch.testing.assert_close(control.masked, masked)
    torch.testing.assert_close(control.multimodal, multimodal)
    torch.testing.assert_close(control.fused, model.fusion(masked, multimodal))
    assert not torch.allclose(control.masked, own.masked) and not torch.allclose(control.multimodal, own.multimodal)


def test_cached_features_give_the_control_scores_of_the_clips(source):
    model = coordinated(0.5).eval()
    kept = WithMismatched(cross_model.cache_features(model, source), SCENES, seed=3)
    *found, labels = cross_model.predictions(model, kept, scores_of_mismatched_pair)
    with torch.no_grad():
        expected = scores_of_mismatched_pair(model, with_mismatched(source)[0])
    assert labels.tolist() == [0, 1, 2, 3, 4, 0]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.softmax(-1), rtol=0, atol=2e-2)


def test_it_trains_on_what_was_observed(source, tmp_path):
    model = coordinated(placement=(), reverse=False)
    before = model.masked.head.weight.detach().clone()
    batches = Batches(WithMismatched(cross_model.cache_features(model, source), SCENES), 3, 0)
    loss = partial(cross_model.interaction_loss, branches=0.5, scoring=scores_of_mismatched_pair)
    history = train(model, loss, batches, Recipe(batch_size=3, lr=1e-2, steps=4, log_every=1), tmp_path)
    assert len(history.records) == 4 and not torch.equal(model.masked.head.weight, before)
