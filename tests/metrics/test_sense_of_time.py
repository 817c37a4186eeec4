"""Averages know no order, and a change at one place in time stays there where places do not meet."""

import numpy as np
import torch

from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.metrics.sense_of_time import change_by_layer, change_by_shuffling

CLIP = torch.rand(1, 3, 8, 16, 16, generator=torch.Generator().manual_seed(0))


def test_an_average_does_not_notice_shuffling_and_a_weighted_one_does():
    assert change_by_shuffling(lambda clip: clip.mean(2), CLIP, seed=0) < 1e-6
    assert change_by_shuffling(lambda clip: clip[:, :, 0], CLIP, seed=0) > 0.1


def test_joint_attention_carries_a_change_to_every_place():
    encoder = MaskedVideoEncoder("tiny", width=32, depth=2, heads=2, frames=8, image=16, patch=8).eval()
    with torch.no_grad():
        change = change_by_layer(encoder, CLIP, frame=2, width=2)
    assert change.shape == (2, 4) and np.all(change > 0) and change[0].argmax() == 1
