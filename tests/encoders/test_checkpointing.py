"""Recomputing: the same numbers from less memory."""

import pytest
import torch

from ivcore import masking
from ivcore.cma import Coordinated
from ivcore.encoders.caption_decoder import CaptionDecoder, PlainCaptionDecoder
from ivcore.encoders.checkpointing import set_activation_checkpointing
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError


def masked_autoencoder():
    mask = masking.tube(2, (4, 4, 4), 0.5, torch.Generator().manual_seed(0))
    return MaskedAutoencoder("tiny", drop_path=0.3), lambda model, video: model(video, mask)


def classifier():
    return VideoClassifier("tiny", 5, drop_path=0.3, drop=0.2, init_scale=1.0), lambda model, video: model(video)


def uniformerv2():
    return UniFormerV2(64, 4, 2, 8, 32, 5, (2, 3), local=True, drop_path=0.3), lambda model, video: model(video)


def video_text(decoder=None):
    tower, text = UniFormerV2(32, 3, 2, 8, 32, 0, (1, 2)), TextEncoder(16, 32, 3, 2, 40, 20)
    model = VideoTextModel(tower, text, 16, decoder or PlainCaptionDecoder(32, 32, 32, 2, 2, 20, dropout=0.2))
    ids = torch.randint(1, 19, (2, 40), generator=torch.Generator().manual_seed(3))
    return model, lambda model, video: torch.cat(
        (model(video, ids).flatten(), model.caption_logits(video, ids).flatten())
    )


def published_video_text():
    return video_text(CaptionDecoder(32, 32, 2, 2, 20, 8))


def coordinated():
    singles = VideoClassifier("tiny", 5), UniFormerV2(64, 4, 2, 8, 32, 5, (2, 3))
    model = Coordinated(*singles, stages=3, gate=0.5, head_drop=None)
    return model, lambda model, video: model((video, video)).fused


def step(make, what):
    """Gradients of one training step, and the bytes kept for its backward pass."""
    torch.manual_seed(0)
    model, run = make()
    set_activation_checkpointing(model.train(), what)
    video, storages = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1)), {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(2)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = run(model, video).square().mean()
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, sum(storages.values())


@pytest.mark.parametrize(
    "make", [masked_autoencoder, classifier, uniformerv2, video_text, published_video_text, coordinated]
)
@pytest.mark.parametrize("what", ["selective", "full"])
def test_gradients_are_the_same_with_less_kept(make, what):
    plain, kept = step(make, "nothing")
    again, less = step(make, what)
    assert plain.keys() == again.keys() and plain
    assert all(torch.allclose(plain[name], again[name], rtol=1e-4, atol=1e-7) for name in plain)
    assert less < (0.8 if what == "selective" else 0.7) * kept


def test_unknown_choices_are_named():
    with pytest.raises(ParameterError, match="activation_checkpointing: 'all' is not one of nothing, selective, full"):
        set_activation_checkpointing(VideoClassifier("tiny", 5), "all")
