"""Either pretrained encoder becomes a classifier that keeps what it has learned."""

import pytest
import small_video_text
import torch

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.heads.classifier import classifier

SHAPE = {"width": 32, "depth": 2, "heads": 2, "image": 16, "frames": 4}


def test_a_masked_autoencoder_gives_its_encoder_and_a_fresh_head():
    pretrained = MaskedAutoencoder("tiny", **SHAPE)
    model = classifier(pretrained, 5, drop_path=0.2, head_drop=0.5, frames=8, image=32)
    assert model(torch.zeros(2, 3, 8, 32, 32)).shape == (2, 5) and model.head_drop.p == 0.5
    assert torch.equal(model.blocks[1].attn.qkv.weight, pretrained.encoder.blocks[1].attn.qkv.weight)
    assert model.blocks[1].drop_path.drop_prob == 0.2


def test_a_video_text_model_gives_its_tower_and_the_norm_after_it():
    pretrained = small_video_text.model(dtype=torch.float32)
    torch.nn.init.normal_(pretrained.visual_ln_post.weight)
    video = torch.randn(2, 3, 2, pretrained.visual.image, pretrained.visual.image)
    before = pretrained.eval().visual_ln_post(pretrained.visual.features(video))
    model = classifier(pretrained, 5, drop_path=0.3, head_drop=0.4).eval()
    assert model.num_classes == 5 and torch.equal(model.transformer.proj[0](model.features(video)), before)
    assert model(video).shape == (2, 5) and model.transformer.proj[1].p == 0.4
    assert model.transformer.resblocks[-1].drop_path.drop_prob == 0.3


def test_what_is_no_encoder_is_refused():
    with pytest.raises(ParameterError, match="VideoClassifier has no encoder"):
        classifier(VideoClassifier("tiny", 3, **SHAPE), 5)
    assert isinstance(classifier(UniFormerV2(24, 2, 2, 8, 16, 0, (1,)), 4), UniFormerV2)
