"""Mixup and cutmix: the same through time and channels, targets in the same shares, and nothing drawn from outside."""

import random

import numpy as np
import pytest
import torch

from ivcore.errors import ParameterError
from ivcore.losses.mixup import mix


def _batch(frames=3):
    ones = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 3, frames, 16, 16).contiguous()
    return ones, torch.tensor([0, 1, 2, 3])


def test_mixup_is_the_same_everywhere_and_in_the_labels():
    video, labels = _batch()
    mixed, targets = mix(video.clone(), labels, [3], 4, cutmix=0.0, smoothing=0.0)
    share = targets[0, 0].item()
    assert 0 < share < 1 and torch.allclose(targets.sum(1), torch.ones(4))
    assert torch.allclose(mixed, share * video + (1 - share) * video.flip(0))


def test_cutmix_cuts_one_box_through_all_frames():
    for seed in range(8):
        video, labels = _batch()
        mixed, targets = mix(video.clone(), labels, [seed], 4, mixup=0.0, smoothing=0.0)
        foreign = mixed[0] == 3
        assert (foreign == foreign[:1, :1]).all(), "the box must not depend on channel or frame"
        assert targets[0, 3].item() == pytest.approx(foreign[0, 0].float().mean().item(), abs=1e-6)
    with pytest.raises(ParameterError, match="even"):
        mix(video[:3], labels[:3], [0], 4)


def test_clips_are_mixed_as_encoders_prepare_them():
    """Channels last, as `prepare` leaves them."""
    video, labels = _batch()
    strided = video.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    (mixed, targets), (same, same_targets) = (mix(v, labels, [3], 4) for v in (video.clone(), strided))
    assert torch.equal(mixed, same) and torch.equal(targets, same_targets)
    assert not torch.equal(mixed, video)


def test_only_the_seeds_count_and_global_generators_stay():
    results = []
    for globally in (1, 2):
        random.seed(globally), np.random.seed(globally), torch.manual_seed(globally)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        results.append([mix(*_batch(), [seed, seed + 1], 4)[0] for seed in range(5)])
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        assert before == after
    assert all(torch.equal(a, b) for a, b in zip(*results))
    assert any(not torch.equal(results[0][0], other) for other in results[0][1:])
