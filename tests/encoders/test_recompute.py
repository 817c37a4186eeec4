"""Recomputing: the same numbers from less memory."""

import pytest
import torch

from ivcore import masking
from ivcore.encoders.recompute import set_recompute
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError


def masked_autoencoder():
    mask = masking.tube(2, (4, 4, 4), 0.5, torch.Generator().manual_seed(0))
    return MaskedAutoencoder("tiny", drop_path=0.3), lambda model, video: model(video, mask)


def classifier():
    return VideoClassifier("tiny", 5, drop_path=0.3, drop=0.2, init_scale=1.0), lambda model, video: model(
        video
    )


def uniformerv2():
    return UniFormerV2(64, 4, 2, 8, 32, 5, (2, 3), local=True, drop_path=0.3), lambda model, video: model(
        video
    )


def step(make, what):
    """Gradients of one training step, and the bytes kept for its backward pass."""
    torch.manual_seed(0)
    model, run = make()
    set_recompute(model.train(), what)
    video, storages = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1)), {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(2)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = run(model, video).square().mean()
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, sum(
        storages.values()
    )


@pytest.mark.parametrize("make", [masked_autoencoder, classifier, uniformerv2])
@pytest.mark.parametrize("what", ["cheap", "blocks"])
def test_gradients_are_the_same_with_less_kept(make, what):
    plain, kept = step(make, "nothing")
    again, less = step(make, what)
    assert plain.keys() == again.keys() and plain
    assert all(torch.allclose(plain[name], again[name], rtol=1e-4, atol=1e-7) for name in plain)
    assert less < (0.8 if what == "cheap" else 0.7) * kept


def test_unknown_choices_are_named():
    with pytest.raises(ParameterError, match="recompute: 'all' is not one of nothing, cheap, blocks"):
        set_recompute(VideoClassifier("tiny", 5), "all")
