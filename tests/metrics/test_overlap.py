"""Error overlap against counting by hand and its closed forms; per-class gains against the confusion matrix."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.metrics.overlap import ErrorOverlap, accuracy_of, class_gains, error_overlap
from ivcore.metrics.recognition import mean_class_accuracy, top_k

quick = settings(max_examples=30, database=None)


def answers(*classes, of=4):
    return torch.eye(of)[list(classes)]


LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
A = answers(0, 0, 1, 3, 3, 0)
B = answers(0, 1, 1, 1, 3, 1)


def test_by_hand():
    overlap = error_overlap(A, B, LABELS)
    assert overlap == ErrorOverlap(both=2, only_a=1, only_b=1, neither=2, same_mistake=1)
    assert (overlap.top1_a, overlap.top1_b) == (0.5, 0.5)
    assert overlap.oracle == pytest.approx(4 / 6) and overlap.disagreement == pytest.approx(2 / 6)
    assert overlap.kappa == pytest.approx((4 / 6 - 0.5) / 0.5)
    assert overlap.yule_q == pytest.approx((2 * 2 - 1) / (2 * 2 + 1))


def test_a_model_agrees_with_itself_and_its_opposite_does_not():
    same = ErrorOverlap(30, 0, 0, 10, 10)
    assert (same.kappa, same.yule_q, same.oracle) == (1, 1, 0.75)
    opposite = ErrorOverlap(0, 20, 20, 0, 0)
    assert (opposite.kappa, opposite.yule_q, opposite.oracle) == (-1, -1, 1)


@quick
@given(st.integers(1, 9), st.integers(1, 9))
def test_independent_models_agree_by_chance_only(a, b):
    overlap = ErrorOverlap(a * b, a * (10 - b), (10 - a) * b, (10 - a) * (10 - b), 0)
    assert overlap.kappa == pytest.approx(0, abs=1e-12)
    assert overlap.yule_q == pytest.approx(0, abs=1e-12)


def test_kappa_and_yule_q_are_undefined_without_errors():
    assert math.isnan(ErrorOverlap(5, 0, 0, 0, 0).kappa) and math.isnan(ErrorOverlap(5, 0, 0, 0, 0).yule_q)
    assert ErrorOverlap(5, 5, 0, 0, 0).kappa == 0


@quick
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 2**31))
def test_counts_and_accuracies_fit(clips, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(clips, classes, generator=generator) for _ in range(2))
    labels = torch.randint(0, classes, (clips,), generator=generator)
    overlap = error_overlap(a, b, labels)
    assert overlap.clips == clips and overlap.same_mistake <= overlap.neither
    assert (overlap.top1_a, overlap.top1_b) == pytest.approx((top_k(a, labels), top_k(b, labels)))
    assert max(overlap.top1_a, overlap.top1_b) <= overlap.oracle <= min(1, overlap.top1_a + overlap.top1_b) + 1e-9
    swapped = error_overlap(b, a, labels)
    assert (swapped.only_a, swapped.both, swapped.neither) == (overlap.only_b, overlap.both, overlap.neither)
    gains = class_gains(a, b, labels, [str(n) for n in range(classes)])
    assert sum(gain.clips for gain in gains) == clips
    assert sum(gain.accuracy_b for gain in gains) / len(gains) == pytest.approx(mean_class_accuracy(b, labels))
    assert sum(g.gain * g.clips for g in gains) / clips == pytest.approx(overlap.top1_b - overlap.top1_a)


def test_gains_are_sorted_and_classes_without_clips_left_out():
    gains = class_gains(A, B, LABELS, ["left", "right", "grow", "never"])
    assert [(gain.name, gain.clips, gain.gain) for gain in gains] == [
        ("right", 2, 0.5),
        ("grow", 2, 0.0),
        ("left", 2, -0.5),
    ]


def test_accuracy_of_some_classes_is_among_all_classes():
    assert accuracy_of(A, LABELS, [0]) == 1
    assert accuracy_of(A, LABELS, [1, 2]) == 0.25
    with pytest.raises(ParameterError, match="no clip belongs to any of the 1"):
        accuracy_of(A, LABELS, [3])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="do not fit together"):
        error_overlap(A, B[:5], LABELS)
    with pytest.raises(ParameterError, match="names: 3 do not fit"):
        class_gains(A, B, LABELS, ["a", "b", "c"])
