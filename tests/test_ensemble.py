"""Ensembles are weighted averages; weights are chosen on a split that they then refuse to be tested on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.ensemble import choose_weights, ensemble
from ivcore.errors import ParameterError
from ivcore.metrics.view_scores import ClipScores

quick = settings(max_examples=30, database=None)


def probabilities(seed, clips=40, classes=5):
    return torch.randn(clips, classes, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def split(name, seed, right, clips=200, classes=4):
    """Scores that give the true class a head start of `right`."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % classes
    logits = torch.randn(clips, classes, generator=generator)
    logits[torch.arange(clips), labels] += right
    return ClipScores([f"{name}/{n}.mp4" for n in range(clips)], labels, logits.softmax(-1))


def test_equal_weights_by_default_and_any_sum():
    a, b = probabilities(0), probabilities(1)
    assert torch.equal(ensemble([a, b]), 0.5 * a + 0.5 * b)
    assert torch.allclose(ensemble([a, b], [3, 1]), 0.75 * a + 0.25 * b)
    assert torch.equal(ensemble([a, b], [2, 0]), a)


@quick
@given(st.lists(st.floats(0, 10), min_size=3, max_size=3).filter(lambda w: sum(w) > 1e-3))
def test_an_ensemble_of_probabilities_is_one(weights):
    mixed = ensemble([probabilities(seed) for seed in range(3)], weights)
    assert torch.allclose(mixed.sum(-1), torch.ones(len(mixed)), atol=1e-5)
    assert (mixed >= 0).all()


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("nan")]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ParameterError, match=r"weights=\["):
        ensemble([probabilities(0), probabilities(1)], weights)


def test_scores_of_different_shapes_are_refused():
    with pytest.raises(ParameterError, match="expected scores of one shape"):
        ensemble([probabilities(0), probabilities(1, classes=6)])
    with pytest.raises(ParameterError, match="got none"):
        ensemble([])


def test_the_better_model_gets_the_weight_and_noise_gets_none():
    good, noise = split("val", 0, 3.0), split("val", 1, 0.0)
    chosen = choose_weights([good, noise], steps=10)
    assert chosen.weights[0] > 0.5
    assert chosen.top1 == max(top1 for _, top1 in chosen.tried) >= good.top()
    assert len(chosen.tried) == 11


def test_the_most_even_of_equally_good_weights_win():
    same = split("val", 0, 1.0)
    assert choose_weights([same, same], steps=10).weights == (0.5, 0.5)


def test_the_grid_holds_every_single_model_and_no_weight_twice():
    models = [split("val", seed, 1.0) for seed in range(3)]
    chosen = choose_weights(models, steps=4)
    weights = [weights for weights, _ in chosen.tried]
    assert len(set(weights)) == len(weights) == 15
    assert {(1, 0, 0), (0, 1, 0), (0, 0, 1)} <= set(weights)
    assert all(sum(each) == pytest.approx(1) for each in weights)
    by_weights = dict(chosen.tried)
    assert by_weights[0, 1, 0] == models[1].top()


def test_weights_refuse_the_clips_that_chose_them():
    chosen = choose_weights([split("val", 0, 1.0), split("val", 1, 1.0)])
    with pytest.raises(ParameterError, match=r"test: 200 of its clips chose these weights, e\.g\. val/0"):
        chosen.apply([split("val", 0, 1.0), split("val", 1, 1.0)])
    test = [split("test", 2, 1.0), split("test", 3, 1.0)]
    applied = chosen.apply(test)
    assert torch.equal(applied.scores, ensemble([each.scores for each in test], chosen.weights))
    one = ClipScores(["val/7.mp4", *test[0].clips[1:]], test[0].labels, test[0].scores)
    with pytest.raises(ParameterError, match="test: 1 of its clips"):
        chosen.apply([one, one])


def test_a_grid_too_fine_is_refused():
    models = [split("val", seed, 1.0, clips=4) for seed in range(5)]
    for steps in (0, 100):
        with pytest.raises(ParameterError, match=f"steps={steps}"):
            choose_weights(models, steps)
