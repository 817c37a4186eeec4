"""The pixel loss: equal to the published one, and right where it is easily wrong."""

import pytest
import torch

from ivcore import masking, tubelets
from ivcore.encoders.normalisation import IMAGENET
from ivcore.losses.reconstruction import blank, picture, reconstruction, targets


@pytest.fixture()
def clip():
    """A clip, and its visible and hidden tokens."""
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(2, 3, 4, 16, 16, generator=generator)
    return video, *masking.split(masking.tube(2, (2, 2, 2), 0.5, generator))


def pixels(video):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in IMAGENET)
    return video * std + mean


def test_equals_the_published_targets_and_losses(golden, close):
    g = golden("videomae_pretrain")
    normalised = targets(g.inputs["video"], masking.split(g.inputs["mask"])[1], patch=8)
    close(normalised[:, ::8], g.outputs["target"])


def test_loss_is_the_plain_mean_of_squares():
    assert float(reconstruction(torch.zeros(1, 2, 3), torch.full((1, 2, 3), 2.0))) == 4.0


def test_each_tubelet_and_channel_has_mean_0_and_unbiased_deviation_1(clip):
    video, _, hidden = clip
    values = targets(video, hidden, patch=8).unflatten(2, (128, 3))
    assert values.mean(2).abs().max() < 1e-5
    assert (values.std(2) - 1).abs().max() < 1e-4


@pytest.mark.parametrize("patch", [8, 7])  # 98 pixels do not sum exactly in float32
def test_a_constant_tubelet_is_zero(patch):
    video = torch.full((1, 3, 2, patch, patch), 0.3)
    values = targets(video, torch.zeros(1, 1, dtype=torch.long), patch=patch)
    assert torch.equal(values, torch.zeros_like(values))


def test_only_hidden_tubelets_are_read(clip):
    video, visible, hidden = clip
    spoiled = video.clone()
    tubelets.scatter_(spoiled, (2, 8, 8), visible, torch.full((2, visible.shape[1], 384), torch.nan))
    assert torch.equal(targets(spoiled, hidden, patch=8), targets(video, hidden, patch=8))


def test_perfect_predictions_give_back_the_clip(clip):
    video, _, hidden = clip
    inside = pixels(video).clamp(0, 1)
    for normalise in (True, False):
        predictions = targets(video, hidden, 8, normalise=normalise)
        drawn = picture(predictions, video, hidden, 8, normalised=normalise)
        assert (drawn - inside).abs().max() < 1e-5


def test_a_constant_prediction_borrows_the_tubelets_mean_only_if_asked(clip):
    video, _, hidden = clip
    nothing = torch.zeros_like(targets(video, hidden, 8))
    plain = tubelets.gather(picture(nothing, video, hidden, 8, normalised=False), (2, 8, 8), hidden)
    assert not plain.any()
    borrowed = tubelets.gather(picture(nothing, video, hidden, 8), (2, 8, 8), hidden).unflatten(2, (3, 128))
    truth = tubelets.gather(pixels(video), (2, 8, 8), hidden).unflatten(2, (3, 128))
    assert (borrowed - truth.mean(3, keepdim=True).clamp(0, 1)).abs().max() < 1e-6


def test_blank_greys_what_is_hidden_and_leaves_the_rest(clip):
    video, visible, hidden = clip
    shown = blank(video, hidden, patch=8)
    assert (tubelets.gather(shown, (2, 8, 8), hidden) == 0.5).all()
    assert torch.equal(*(tubelets.gather(x, (2, 8, 8), visible) for x in (shown, pixels(video))))


def test_bfloat16_clips_get_float32_targets(clip):
    video, _, hidden = clip
    assert targets(video.bfloat16(), hidden, patch=8).dtype == torch.float32
