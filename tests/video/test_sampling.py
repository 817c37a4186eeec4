"""Frame samplers: exact values, and properties that hold for every video length."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.cma import spread_frames
from ivcore.errors import ParameterError
from ivcore.video import sampling

LENGTHS = st.one_of(st.integers(1, 60), st.integers(1, 10**9))
FRAMES, STRIDE, CLIPS = st.integers(1, 40), st.integers(1, 16), st.integers(1, 12)
quick = settings(max_examples=80)


def _sound(indices, num_video_frames, num_frames):
    assert indices.dtype == np.int64 and indices.shape == (num_frames,)
    assert indices[0] >= 0 and indices[-1] < num_video_frames
    assert (np.diff(indices) >= 0).all()


@quick
@given(LENGTHS, FRAMES, STRIDE, st.integers(0, 99))
def test_dense_keeps_its_stride_or_repeats_the_last_frame(n, k, stride, seed):
    for rng in (None, np.random.default_rng(seed)):
        indices = sampling.dense(n, k, stride, rng)
        _sound(indices, n, k)
        steps = np.diff(indices)
        assert (steps[indices[1:] < n - 1] == stride).all()
        if n >= sampling.span(k, stride):
            assert (steps == stride).all()
        else:
            assert indices[0] == 0


@quick
@given(LENGTHS, FRAMES, st.integers(0, 99))
def test_sparse_takes_one_frame_of_each_segment(n, k, seed):
    for rng in (None, np.random.default_rng(seed)):
        indices = sampling.segment(n, k, rng)
        _sound(indices, n, k)
        for s, index in enumerate(indices.tolist()):
            first, stop = s * n // k, (s + 1) * n // k
            assert first <= index < max(stop, first + 1)


@quick
@given(LENGTHS, FRAMES)
def test_uniform_is_the_published_formula(n, k):
    indices = sampling.linspace(n, k)
    _sound(indices, n, k)
    assert indices.tolist() == np.linspace(0, n - 1, k).astype(int).tolist()


@quick
@given(LENGTHS, FRAMES, STRIDE, CLIPS)
def test_views_cover_the_video_evenly(n, k, stride, clips):
    views = sampling.views(n, k, stride, clips)
    assert len(views) == clips
    for view in views:
        _sound(view, n, k)
    starts = np.array([view[0] for view in views])
    assert np.ptp(np.diff(starts)) <= 1 if clips > 2 else True
    if clips > 1:
        assert starts[0] == 0 and (views[-1][-1] == n - 1 or n < sampling.span(k, stride))


@quick
@given(LENGTHS, FRAMES, CLIPS)
def test_sparse_views_stay_in_their_segments(n, k, clips):
    views = sampling.segment_views(n, k, clips)
    assert len(views) == clips
    edges = np.arange(k + 1) * n // k
    for view in views:
        _sound(view, n, k)
        assert (view >= edges[:-1]).all() and (view < np.maximum(edges[1:], edges[:-1] + 1)).all()
    assert (np.diff(views, axis=0) >= 0).all()


@quick
@given(LENGTHS, FRAMES, STRIDE, st.integers(0, 2**32))
def test_a_seed_decides_everything(n, k, stride, seed):
    draws = [
        (sampling.dense(n, k, stride, rng).tolist(), sampling.segment(n, k, rng).tolist())
        for rng in (np.random.default_rng(seed), np.random.default_rng(seed))
    ]
    assert draws[0] == draws[1]


def test_exact_values():
    assert sampling.dense(100, 16, 4).tolist() == list(range(19, 80, 4))
    assert sampling.dense(10, 4, 4).tolist() == [0, 4, 8, 9]
    assert sampling.dense(1, 3, 2).tolist() == [0, 0, 0]
    assert sampling.segment(10, 4).tolist() == [0, 3, 5, 8]
    assert sampling.segment(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert sampling.linspace(100, 8).tolist() == [0, 14, 28, 42, 56, 70, 84, 99]
    assert [view.tolist() for view in sampling.views(20, 4, 2, 3)] == [[0, 2, 4, 6], [6, 8, 10, 12], [13, 15, 17, 19]]
    assert sampling.views(20, 4, 2, 1)[0].tolist() == sampling.dense(20, 4, 2).tolist()
    assert [view.tolist() for view in sampling.segment_views(20, 4, 2)] == [[1, 6, 11, 16], [3, 8, 13, 18]]
    assert sampling.segment_views(21, 4, 1)[0].tolist() == sampling.segment(21, 4).tolist()


def test_random_starts_reach_both_ends_and_no_further():
    rng = np.random.default_rng(0)
    starts = {int(sampling.dense(20, 4, 4, rng)[0]) for _ in range(300)}
    assert starts == set(range(8))
    middles = {int(sampling.segment(12, 3, rng)[1]) for _ in range(300)}
    assert middles == {4, 5, 6, 7}


@pytest.mark.parametrize(
    "call", [lambda: sampling.dense(0, 4, 1), lambda: sampling.segment(5, 0), lambda: sampling.views(5, 2, 1.5, 1)]
)
def test_nonsense_is_refused_by_name(call):
    with pytest.raises(ParameterError, match="at least 1"):
        call()


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 99))
def test_even_frames_stand_at_the_same_place_of_every_segment(length, frames, seed):
    chosen = sampling.segment_shared(length, frames, np.random.default_rng(seed))
    assert chosen.shape == (frames,) and (np.diff(chosen) >= 0).all() and chosen[0] >= 0 and chosen[-1] < length
    if length % frames == 0:
        assert len(set(np.diff(chosen))) <= 1
    assert np.array_equal(sampling.segment_shared(length, frames), sampling.segment(length, frames))


def test_even_frames_reach_every_place():
    starts = {int(sampling.segment_shared(16, 4, np.random.default_rng(seed))[0]) for seed in range(50)}
    assert starts == {0, 1, 2, 3}


@quick
@given(LENGTHS, FRAMES, STRIDE, CLIPS, st.integers(0, 99))
def test_dense_and_sparse_stand_one_behind_the_other(n, k, stride, segments, seed):
    counts = {"num_dense": k, "stride": stride, "num_segments": segments}
    middle = sampling.dense_and_segment(n, **counts)
    assert (middle[:k] == sampling.dense(n, k, stride)).all()
    assert (middle[k:] == sampling.segment(n, segments)).all()
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    drawn = sampling.dense_and_segment(n, rng=one, **counts)
    assert (drawn[:k] == sampling.dense(n, k, stride, other)).all()
    assert (drawn[k:] == sampling.segment(n, segments, other)).all()


def test_pairs_of_views_are_the_views_of_each_encoder():
    counts = {"num_dense": 16, "stride": 4, "num_segments": 8}
    pairs = sampling.dense_and_segment_views(300, 4, **counts)
    dense, sparse = sampling.views(300, 16, 4, 4), sampling.segment_views(300, 8, 4)
    for pair, one, other in zip(pairs, dense, sparse, strict=True):
        assert pair.tolist() == [*one, *other]
    (middle,) = sampling.dense_and_segment_views(300, 1, **counts)
    assert middle.tolist() == sampling.dense_and_segment(300, **counts).tolist()


@pytest.mark.parametrize("length", range(1, 40))
def test_the_cross_model_step_takes_the_same_frames_as_a_mirrored_clip(length):
    for frames in range(1, 65):
        taken = spread_frames(torch.arange(length)[None], frames)[0].tolist()
        assert sampling.mirrored(length, frames).tolist() == taken


@given(st.integers(1, 5000), st.floats(1, 240), st.integers(1, 32), st.floats(0.1, 10))
def test_a_stride_by_seconds_freezes_no_frame(length, fps, num_frames, seconds):
    stride = sampling.stride_of(length, fps, num_frames, seconds)
    clip = sampling.dense(length, num_frames, stride)
    assert stride >= 1 and (length < num_frames or len(set(clip.tolist())) == num_frames)
    assert num_frames * stride <= max(num_frames, seconds * fps + num_frames / 2)


def test_a_stride_by_seconds_is_as_long_at_any_frame_rate():
    assert [sampling.stride_of(10 * fps, fps, 8, 3.0) for fps in (24, 30, 60, 120)] == [9, 11, 22, 45]
    assert sampling.stride_of(30, 30, 8, 3.0) == 3
