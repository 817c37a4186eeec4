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


def test_of_a_classifier_all_but_its_head_is_taken():
    trained = VideoClassifier("tiny", 3, **SHAPE)
    torch.nn.init.normal_(trained.fc_norm.weight)
    model = classifier(trained, 5, frames=8, image=32)
    assert model(torch.zeros(2, 3, 8, 32, 32)).shape == (2, 5)
    again = classifier(trained, 5).eval()
    video = torch.randn(2, 3, 4, 16, 16)
    assert torch.equal(again.features(video), trained.eval().features(video))
    assert again.head.weight.abs().max() < 0.01  # fresh


def test_of_a_classifying_uniformerv2_all_but_its_last_layer_is_taken():
    trained = UniFormerV2(24, 2, 2, 8, 16, 3, (1,))
    torch.nn.init.normal_(trained.transformer.proj[0].weight)
    norm = trained.transformer.proj[0].weight.clone()
    model = classifier(trained, 5)
    assert torch.equal(model.transformer.proj[0].weight, norm)
    assert model(torch.zeros(2, 3, 2, 16, 16)).shape == (2, 5) and model.num_classes == 5


def test_what_is_no_encoder_is_refused():
    with pytest.raises(ParameterError, match="Linear has no encoder"):
        classifier(torch.nn.Linear(2, 2), 5)
    assert isinstance(classifier(UniFormerV2(24, 2, 2, 8, 16, 0, (1,)), 4), UniFormerV2)
